"""The queue: one worker for a workspace runs its jobs in order, stops them when asked, and records how they ended."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import filelock

from backend.runs import process as processes
from backend.runs.folder import Job, RunFolder, RunState, list_runs, needed_runs
from backend.runs.process import ProcessMark, start_detached
from backend.runs.status import Reporter, write_json


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds.

    stop_s: for a run that was asked to stop, to save and leave before it is terminated. terminate_s: for a terminated
    run, before it is killed. leftovers_s: for what a run started and left behind. linger_s: for further jobs, before
    the worker leaves.
    """

    stop_s: float = 60.0
    terminate_s: float = 10.0
    leftovers_s: float = 2.0
    linger_s: float = 1.0


DEFAULT_PATIENCE = Patience()

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


def resume_queue(workspace: Path) -> None:
    """Start a worker if jobs wait or run, whose last worker may have died, with the machine perhaps."""
    if any(_is_unended_job(run) and not run.state().is_over for run in list_runs(workspace)):
        ensure_worker(workspace)


def work(workspace: Path, *, patience: Patience = DEFAULT_PATIENCE) -> bool:
    """Run all queued jobs of the workspace, oldest first, then return. False if another worker is at it."""
    workspace = workspace.absolute()
    workspace.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(workspace / "queue.lock")
    while True:
        try:
            with lock.acquire(timeout=0):
                _watch_what_runs(workspace, patience)
                _run_until_empty(workspace, patience)
        except filelock.Timeout:
            return False
        if not _queued(workspace):  # a job that came between the last look and the release is not left behind
            return True


def run_job(
    run: RunFolder, *, tick: Callable[[], None] = lambda: None, patience: Patience = DEFAULT_PATIENCE
) -> int | None:
    """Run one job to its end and record how it ended; returns the exit code, None if it had to be ended.

    tick is called some five times a second while it runs. Raises OSError if it cannot be started or recorded.
    """
    job = run.job()
    if job is None:
        raise ValueError(f"{run.path}: no job.json")
    try:
        child, mark = _start(run, job)
    except OSError as error:
        record_end(run, code=None, how=f"not started: {error}")
        raise
    stopper = _Stopper(run, mark, patience)
    while child.poll() is None:
        stopper.look()
        tick()
        time.sleep(POLL_S)
    stopper.end_leftovers()
    record_end(run, code=child.returncode, how=stopper.how, left=stopper.left)
    tick()
    return child.returncode if not stopper.how else None


def record_end(run: RunFolder, *, code: int | None, how: str, left: Sequence[int] = ()) -> None:
    """Write exit.json. left: pids of processes that could not be ended, and hold the run's memory still."""
    write_json(run.exit_file, {"code": code, "how": how, "at": time.time(), **({"left": list(left)} if left else {})})


class _Stopper:
    """Ends a run that was asked to stop in three steps: it leaves by itself, is terminated, is killed."""

    def __init__(self, run: RunFolder, mark: ProcessMark, patience: Patience) -> None:
        self.how = ""
        self.left: list[int] = []
        self._run, self._mark, self._patience = run, mark, patience
        self._tree = processes.process_tree(mark)
        self._seen = time.monotonic()
        self._asked: float | None = None
        self._terminated = 0.0

    def look(self) -> None:
        """Take the next step if its time has come. Meant to be called a few times a second."""
        now = time.monotonic()
        if now - self._seen > TREE_INTERVAL_S:
            self._list_tree()
        if not self._run.has_request("stop"):
            return
        self._asked = self._asked or now
        if not self.how and now - self._asked > self._patience.stop_s:
            self._list_tree()
            self.how, self._terminated = "terminated", now
            processes.terminate(self._tree)
        elif self.how == "terminated" and now - self._terminated > self._patience.terminate_s:
            self._list_tree()
            self.how = "killed"
            processes.kill(self._tree)

    def end_leftovers(self) -> None:
        """End what is left of the run's processes after its head has gone."""
        known = {*self._tree, *processes.session_members(self._mark.pid)}
        stubborn, left = processes.end(
            list(known), leave_s=self._patience.leftovers_s, terminate_s=self._patience.terminate_s
        )
        self.left = [process.pid for process in left]
        if stubborn and self.how:
            self.how = "killed"

    def _list_tree(self) -> None:
        self._seen = time.monotonic()
        self._tree = processes.process_tree(self._mark) or self._tree


def _run_until_empty(workspace: Path, patience: Patience) -> None:
    """Run job after job, until none has been queued for a while."""
    idle_since = time.monotonic()
    while time.monotonic() - idle_since < patience.linger_s:
        waiting = _queued(workspace)
        if waiting:
            idle_since = time.monotonic()
        ready = next((run for run in waiting if not _ended_unstarted(run) and not _waits_for_others(run)), None)
        if ready is None:
            time.sleep(POLL_S)
        else:
            _run_if_it_starts(ready, patience)


def _run_if_it_starts(run: RunFolder, patience: Patience) -> None:
    """Run a job; one that cannot be started has ended with that, and the worker goes on to the next."""
    try:
        run_job(run, patience=patience)
    except OSError:
        if run.exit_record() is None:
            raise


def _start(run: RunFolder, job: Job) -> tuple[subprocess.Popen[bytes], ProcessMark]:
    """Start the job's process and record it; one that cannot be recorded is ended, as nobody would know of it."""
    folder = str(run.path.absolute())  # the job runs in the project's folder
    child = start_detached(list(job.arguments), log_file=run.log_file, environment={Reporter.FOLDER_VARIABLE: folder})
    try:
        mark = ProcessMark.of(child.pid)
        write_json(run.process_file, {**mark.record(), "at": time.time()})
    except BaseException:
        child.kill()  # it has just begun, and has no children yet
        child.wait()
        raise
    return child, mark


def _queued(workspace: Path) -> list[RunFolder]:
    """The runs that wait for this worker, cancelled ones too, in the order in which they were submitted."""
    jobs = [run for run in reversed(list_runs(workspace)) if _is_unended_job(run)]
    return [run for run in jobs if run.process() is None]


def _is_unended_job(run: RunFolder) -> bool:
    """Whether the run is the queue's and its end is not recorded."""
    job = run.job()
    return job is not None and not job.foreground and run.exit_record() is None


def _ended_unstarted(run: RunFolder) -> bool:
    """End a queued run that was cancelled, or that needs one which did not finish; says whether it did."""
    if run.has_request("stop"):
        record_end(run, code=None, how="cancelled")
        return True
    for needed in needed_runs(run):
        if (found := _why_it_will_not_finish(needed)) is not None:
            run.log_file.write_text(f"not started: it needs {needed.name}, which is {found}\n", encoding="utf-8")
            record_end(run, code=None, how=f"not started: {needed.name} is {found}")
            return True
    return False


def _why_it_will_not_finish(run: RunFolder) -> str | None:
    """How the run stands if it ended otherwise than finished, or was deleted; None if it did finish, or still may."""
    if run.job() is None:
        return "gone"
    state = run.state()
    return state.value if state.is_over and state is not RunState.FINISHED else None


def _waits_for_others(run: RunFolder) -> bool:
    return any(needed.state() is not RunState.FINISHED for needed in needed_runs(run))


def _watch_what_runs(workspace: Path, patience: Patience) -> None:
    """Take over runs whose worker died: wait for their end, with Stop in force. Their exit code cannot be had."""
    for run in list_runs(workspace):
        mark = run.process()
        if not _is_unended_job(run) or mark is None or not mark.is_alive():
            continue
        stopper = _Stopper(run, mark, patience)
        while mark.is_alive():
            stopper.look()
            time.sleep(POLL_S)
        stopper.end_leftovers()
        if stopper.how:
            record_end(run, code=None, how=stopper.how, left=stopper.left)
