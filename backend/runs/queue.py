"""The queue: one worker for a workspace runs its jobs in order, stops them when asked, and records how they ended."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import filelock

from backend.runs.folder import RunFolder, RunState, list_runs, needed_runs
from backend.runs.occupancy import exclude_each_other, occupies
from backend.runs.order import queued_order
from backend.runs.process import ProcessMark, start_detached
from backend.runs.status import read_json
from backend.runs.watch import DEFAULT_PATIENCE, Patience, Watch, record_end, start_watched

POLL_S = 0.2

SCAN_INTERVAL_S = 2.0
"""How often a worker looks for jobs that may run beside those that go on, and for runs that lost their watcher."""

RETRY_S = 5.0
"""When the worker tries again what could not be written, on a full disk."""

LOCK_FILE = "queue.lock"


def ensure_worker(workspace: Path) -> None:
    """Start a worker of its own session; it leaves at once if the workspace has one."""
    workspace.mkdir(parents=True, exist_ok=True)
    worker = start_detached(
        ["-m", "backend", "queue", "--workspace", str(workspace.absolute())],
        log_file=workspace / "queue.log",
        environment={},
    )
    threading.Thread(target=worker.wait, daemon=True).start()  # else it would stay as a zombie when it leaves


def resume_queue(workspace: Path) -> None:
    """Start a worker if jobs wait or run, whose last worker may have died, with the machine perhaps."""
    if any(_wants_worker(run) for run in list_runs(workspace)):
        ensure_worker(workspace)


def work(workspace: Path, *, patience: Patience = DEFAULT_PATIENCE) -> bool:
    """Run all queued jobs of the workspace in order, then return. False if another worker is at it.

    Which of them run beside each other is told in occupancy.py. It does not wait for jobs that are held.
    """
    workspace = workspace.absolute()
    workspace.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(workspace / LOCK_FILE)
    while True:
        try:
            with lock.acquire(timeout=0):
                worker = Worker(workspace, patience)
                worker.run_until_empty()
        except filelock.Timeout:
            return False
        if not worker.has_more():  # a job that came between the last look and the release is not left behind
            return True


def run_job(
    run: RunFolder, *, tick: Callable[[], None] = lambda: None, patience: Patience = DEFAULT_PATIENCE
) -> int | None:
    """Run one job to its end and record how it ended; returns the exit code, None if it had to be ended.

    tick is called some five times a second while it runs. Raises OSError if it cannot be started or recorded.
    """
    watch = start_watched(run, patience)
    while not watch.is_over():
        tick()
        time.sleep(POLL_S)
    tick()
    return watch.code


class Worker:
    """Runs the jobs of a workspace. Only one at a time has the workspace's lock."""

    def __init__(self, workspace: Path, patience: Patience) -> None:
        self._workspace, self._patience = workspace, patience
        self._watched: list[Watch] = []
        self._over: set[str] = set()
        self._scanned = -SCAN_INTERVAL_S
        self._blocked_until = 0.0
        self._is_waiting = False
        self._has_company = False

    def run_until_empty(self) -> None:
        """Run job after job, until none has been queued for a while. Runs whose watcher died are watched on."""
        self._take_over(self._unended())
        idle_since = time.monotonic()
        while self._watched or self._is_waiting or time.monotonic() - idle_since < self._patience.linger_s:
            self._watched = [watch for watch in self._watched if not watch.is_over()]
            if self._is_scan_due():
                if self._start_next():
                    continue
                self._is_waiting = self.has_more()
            if self._watched or self._is_waiting:
                idle_since = time.monotonic()
            time.sleep(POLL_S)

    def has_more(self) -> bool:
        """Whether a job waits that is not held up by one that is held."""
        if self._watched:
            return True
        return any(not _is_held_up(run) for run in queued_order(self._unended()) if run.process() is None)

    def _is_scan_due(self) -> bool:
        """Whether it is time to look for what can be started or taken over; every 2 s is enough beside what goes on."""
        now = time.monotonic()
        is_busy = bool(self._watched) or self._has_company
        if now < self._blocked_until or (is_busy and now - self._scanned < SCAN_INTERVAL_S):
            return False
        self._scanned = now
        return True

    def _start_next(self) -> bool:
        """Start the first job that may run now, or end one that never will. Says whether it did either."""
        runs = self._unended()
        self._take_over(runs)
        occupying = self._occupying(runs)
        waiting = queued_order([run for run in runs if run.process() is None])
        try:
            if sum(_ended_unstarted(run) for run in waiting):
                return True
            run = next_to_start([run for run in waiting if _is_ready(run)], occupying)
            if run is not None:
                self._start(run)
        except OSError as error:
            print(f"tried again in {RETRY_S:g} s: {error}", file=sys.stderr, flush=True)
            self._blocked_until = time.monotonic() + RETRY_S
            return False
        return run is not None

    def _occupying(self, runs: Sequence[RunFolder]) -> list[RunFolder]:
        """Of the runs that are not over those that occupy something: the watched ones, and those in the foreground."""
        watched = [watch.run for watch in self._watched]
        others = [run for run in runs if run not in watched and occupies(run)]
        self._has_company = bool(others)
        return [*watched, *others]

    def _start(self, run: RunFolder) -> None:
        """Start a run; one that cannot be started has ended with that. Raises OSError if that cannot be recorded."""
        self._scanned = -SCAN_INTERVAL_S
        try:
            self._watched.append(start_watched(run, self._patience))
        except OSError:
            if run.exit_record() is None:
                raise

    def _take_over(self, runs: Iterable[RunFolder]) -> None:
        """Watch runs whose watcher died. Their exit code cannot be had."""
        known = {watch.run.name for watch in self._watched}
        for run in runs:
            mark = run.process()
            if run.name not in known and mark is not None and mark.is_alive() and not _has_watcher(run):
                self._watched.append(Watch(run, mark, self._patience))

    def _unended(self) -> list[RunFolder]:
        """The runs that are not over, the one submitted last first; what is over is not looked at again."""
        folder = self._workspace / "runs"
        names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 (2,000 runs, several times a second)
        runs = [RunFolder(folder / name) for name in names if name not in self._over]
        runs = [run for run in runs if run.job() is not None]
        self._over.update(run.name for run in runs if _is_over(run))
        unended = [run for run in runs if run.name not in self._over]
        return sorted(unended, key=_submission, reverse=True)


def next_to_start(ready: Sequence[RunFolder], running: Iterable[RunFolder]) -> RunFolder | None:
    """The first of the ready runs that neither a running nor an earlier one excludes, None if there is none."""
    ahead = list(running)
    for run in ready:
        if not any(exclude_each_other(run, other) for other in ahead):
            return run
        ahead.append(run)
    return None


def _submission(run: RunFolder) -> tuple[int, float]:
    job = run.job()
    return (job.order, job.submitted) if job else (0, 0.0)


def _is_over(run: RunFolder) -> bool:
    """Whether nothing is left to be done for the run; one that was cancelled is still to be recorded."""
    if run.exit_record() is not None:
        return True
    mark, job = run.process(), run.job()
    if mark is not None:
        return not mark.is_alive()
    return job is not None and job.owner is not None and not job.owner.is_alive()


def _wants_worker(run: RunFolder) -> bool:
    job = run.job()
    if job is None or _is_over(run):
        return False
    if run.process() is not None:
        return not _has_watcher(run)
    return not job.foreground and not run.has_request("stop") and not _is_held_up(run)


def _has_watcher(run: RunFolder) -> bool:
    """Whether a living process watches the run. A worker that asks has the lock, so it can only be a command."""
    record = (read_json(run.process_file) or {}).get("watcher")
    return isinstance(record, dict) and ProcessMark.read(record).is_alive()


def _is_ready(run: RunFolder) -> bool:
    return not run.place().held and all(needed.state() is RunState.FINISHED for needed in needed_runs(run))


def _is_held_up(run: RunFolder) -> bool:
    """Whether the run waits until somebody releases it, or one that it needs."""
    if run.has_request("stop"):
        return False
    needed = [other for other in needed_runs(run) if other.job() is not None]
    return run.place().held or any(other.state() is RunState.QUEUED and _is_held_up(other) for other in needed)


def _ended_unstarted(run: RunFolder) -> bool:
    """End a queued run that was cancelled, or that needs one which did not finish; says whether it did.

    Raises OSError if that cannot be written.
    """
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
