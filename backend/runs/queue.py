"""The queue: one worker for a workspace runs its jobs in order, stops them when asked, and records how they ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import filelock

from backend.runs import process as processes
from backend.runs.folder import RunFolder, RunState, list_runs
from backend.runs.process import ProcessMark, start_detached
from backend.runs.status import Reporter, write_json

PATIENCE_S = 60.0
"""How long a run that was asked to stop may take to save and leave before it is terminated."""

TERMINATE_S = 10.0
"""How long a terminated run may take before it is killed."""

LINGER_S = 1.0
"""How long the worker looks for further jobs before it leaves."""

POLL_S = 0.2

TREE_INTERVAL_S = 2.0
"""How often the processes of a run are listed, so that none is left behind when its head dies."""


def ensure_worker(workspace: Path) -> None:
    """Start a worker of its own session; it leaves at once if the workspace has one."""
    workspace.mkdir(parents=True, exist_ok=True)
    start_detached(
        ["-m", "backend", "queue", "--workspace", str(workspace.absolute())],
        log_file=workspace / "queue.log",
        environment={},
    )


def work(workspace: Path) -> bool:
    """Run all queued jobs of the workspace, oldest first, then return. False if another worker is at it."""
    workspace.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(workspace / "queue.lock")
    while True:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        with lock:
            _watch_what_runs(workspace)
            _run_until_empty(workspace)
        if _next_job(workspace) is None:  # a job that came between the last look and the release is not left behind
            return True


def run_job(run: RunFolder, *, tick: Callable[[], None] = lambda: None) -> int | None:
    """Run one job to its end and record how it ended; returns the exit code, None if it had to be ended.

    tick is called some five times a second while it runs.
    """
    job = run.job()
    if job is None:
        raise ValueError(f"{run.path}: no job.json")
    child = start_detached(
        list(job.arguments), log_file=run.log_file, environment={Reporter.FOLDER_VARIABLE: str(run.path)}
    )
    mark = ProcessMark.of(child.pid)
    write_json(run.process_file, {**mark.record(), "at": time.time()})
    stopper = _Stopper(run, mark)
    while child.poll() is None:
        stopper.look()
        tick()
        time.sleep(POLL_S)
    _end_leftovers(stopper.tree)
    _record_end(run, code=child.returncode, how=stopper.how)
    tick()
    return child.returncode if not stopper.how else None


class _Stopper:
    """Ends a run that was asked to stop in three steps: it leaves by itself, is terminated, is killed."""

    def __init__(self, run: RunFolder, mark: ProcessMark) -> None:
        self.run, self.mark = run, mark
        self.tree = processes.process_tree(mark)
        self.how = ""
        self._seen = time.monotonic()
        self._asked: float | None = None
        self._terminated = 0.0

    def look(self) -> None:
        """Take the next step if its time has come. Meant to be called a few times a second."""
        now = time.monotonic()
        stop = self.run.has_request("stop")
        if stop or now - self._seen > TREE_INTERVAL_S:
            self._seen = now
            self.tree = processes.process_tree(self.mark) or self.tree
        if not stop:
            return
        self._asked = self._asked or now
        if not self.how and now - self._asked > PATIENCE_S:
            self.how, self._terminated = "terminated", now
            processes.terminate(self.tree)
        elif self.how == "terminated" and now - self._terminated > TERMINATE_S:
            self.how = "killed"
            processes.kill(self.tree)


def _run_until_empty(workspace: Path) -> None:
    idle_since = time.monotonic()
    while time.monotonic() - idle_since < LINGER_S:
        run = _next_job(workspace)
        if run is None:
            time.sleep(POLL_S)
            continue
        if not _refuse(run):
            run_job(run)
        idle_since = time.monotonic()


def _next_job(workspace: Path) -> RunFolder | None:
    """The oldest run that waits, None if there is none."""
    for run in reversed(list_runs(workspace)):
        job = run.job()
        if job is not None and not job.foreground and run.state() is RunState.QUEUED:
            return run
    return None


def _refuse(run: RunFolder) -> bool:
    """End a queued run that was cancelled, or that needs one which did not finish; says whether it did."""
    job = run.job()
    if run.has_request("stop"):
        _record_end(run, code=None, how="cancelled")
        return True
    for name in job.needs if job else ():
        state = RunFolder(run.path.parent / name).state()
        if state is not RunState.FINISHED:
            run.log_file.write_text(f"not started: it needs {name}, which is {state.value}\n", encoding="utf-8")
            _record_end(run, code=None, how=f"not started: {name} is {state.value}")
            return True
    return False


def _watch_what_runs(workspace: Path) -> None:
    """Take over runs whose worker died: wait for their end, with Stop in force. Their exit code cannot be had."""
    for run in list_runs(workspace):
        job, mark = run.job(), run.process()
        if job is None or job.foreground or mark is None or run.exit_record() is not None or not mark.is_alive():
            continue
        stopper = _Stopper(run, mark)
        while mark.is_alive():
            stopper.look()
            time.sleep(POLL_S)
        _end_leftovers(stopper.tree)
        if stopper.how:
            _record_end(run, code=None, how=stopper.how)


def _end_leftovers(tree: list[processes.psutil.Process]) -> None:
    """End what is left of a run's processes after its head has gone."""
    left = processes.survivors(tree, timeout_s=0)
    if left:
        processes.terminate(left)
        processes.kill(processes.survivors(left, timeout_s=TERMINATE_S))


def _record_end(run: RunFolder, *, code: int | None, how: str) -> None:
    write_json(run.exit_file, {"code": code, "how": how, "at": time.time()})
