"""One run watched from the start of its process to its end: stopped in three steps when asked, its end recorded."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.runs import process as processes
from backend.runs.folder import Job, RunFolder
from backend.runs.process import ProcessMark, own_mark, start_detached
from backend.runs.reserve import Reserve
from backend.runs.status import Reporter, write_json


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds.

    stop_s: for a run that was asked to stop, to save and leave before it is terminated. early_s: the same while it has
    nothing to save: it is starting, loading or caching, or in its first step. terminate_s: for a terminated run, before
    it is killed. leftovers_s: for what a run started and left behind. linger_s: for further jobs, before the worker
    leaves.
    """

    stop_s: float = 60.0
    early_s: float = 15.0
    terminate_s: float = 10.0
    leftovers_s: float = 2.0
    linger_s: float = 1.0


DEFAULT_PATIENCE = Patience()

EARLY_PHASES = ("starting", "loading", "caching")

TREE_INTERVAL_S = 2.0
"""How often the processes of a run are listed, so that none is left behind when its head dies."""

Clock = Callable[[], float]


class Watch:
    """Watches a run until it is over. Meant to be looked at a few times a second.

    child: its process where this one is its parent; else only its mark is known, and the exit code cannot be had.
    clock: seconds that never jump.
    """

    def __init__(
        self,
        run: RunFolder,
        mark: ProcessMark,
        patience: Patience,
        *,
        child: subprocess.Popen[bytes] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.run = run
        self.stopper = Stopper(run, mark, patience, clock=clock)
        self.code: int | None = None
        """The exit code once it is over; None if it had to be ended, or is not known."""
        self._mark, self._child = mark, child
        self._kills_before = _memory_kills()

    def is_over(self) -> bool:
        """Take the next step of a stop if its time has come; once the process has gone, end what it left, record it."""
        if self._lives():
            self.stopper.look()
            return False
        self.stopper.end_leftovers()
        self._record()
        self.stopper.tell_gone()
        return True

    def _lives(self) -> bool:
        return self._child.poll() is None if self._child else self._mark.is_alive()

    def _record(self) -> None:
        how, code = self.stopper.how, self._child.returncode if self._child else None
        self.code = code if not how else None
        if self._child or how:
            extra = {"memory_ran_out": True} if _memory_kills() > self._kills_before else {}
            told_record(self.run, code=code, how=how, left=self.stopper.left, **extra)


def start_watched(run: RunFolder, patience: Patience, *, clock: Clock = time.monotonic) -> Watch:
    """Start the run's process. Raises OSError if it cannot be started or recorded; the first is the run's end."""
    job = run.job()
    if job is None:
        raise ValueError(f"{run.path}: no job.json")
    try:
        child, mark = _start(run, job)
    except OSError as error:
        told_record(run, code=None, how=f"not started: {error}")
        raise
    return Watch(run, mark, patience, child=child, clock=clock)


def record_end(run: RunFolder, *, code: int | None, how: str, left: Sequence[int] = (), **more: Any) -> None:
    """Write exit.json. left: pids of processes that could not be ended, and hold the run's memory still."""
    record = {"code": code, "how": how, "at": time.time(), **more}
    write_json(run.exit_file, {**record, **({"left": list(left)} if left else {})})


def told_record(run: RunFolder, **record: Any) -> None:
    """`record_end` in the room that the run kept back; where it cannot be written even so, that is told.

    The run's state then follows from its status, or is crashed.
    """
    try:
        Reserve(run.path).write(lambda: record_end(run, **record))
        Reserve(run.path).give_up()
    except OSError as error:
        print(f"{run.name}: its end could not be recorded: {error}", file=sys.stderr, flush=True)


def _start(run: RunFolder, job: Job) -> tuple[subprocess.Popen[bytes], ProcessMark]:
    """Start the job's process and record it; one that cannot be recorded is ended, as nobody would know of it."""
    folder = str(run.path.absolute())  # the job runs in the project's folder
    child = start_detached(list(job.arguments), log_file=run.log_file, environment={Reporter.FOLDER_VARIABLE: folder})
    try:
        mark = ProcessMark.of(child.pid)
        write_json(run.process_file, {**mark.record(), "at": time.time(), "watcher": own_mark().record()})
    except BaseException:
        child.kill()  # it has just begun, and has no children yet
        child.wait()
        raise
    return child, mark


class Stopper:
    """Ends a run that was asked to stop in three steps: it leaves by itself, is terminated, is killed.

    Each step is told in stop.json as it is taken.
    """

    def __init__(self, run: RunFolder, mark: ProcessMark, patience: Patience, *, clock: Clock) -> None:
        self.how = ""
        self.left: list[int] = []
        self._run, self._mark, self._patience, self._clock = run, mark, patience, clock
        self._tree = processes.process_tree(mark)
        self._seen = clock()
        self._asked: float | None = None
        self._terminated = 0.0
        self._told: dict[str, Any] = {}

    def look(self) -> None:
        """Take the next step if its time has come."""
        now = self._clock()
        if now - self._seen > TREE_INTERVAL_S:
            self._list_tree()
        if not self._run.has_request("stop"):
            return
        if self._asked is None:
            self._asked = now
        if not self.how:
            patience_s = self._stop_patience_s()
            self._tell("asked", following="terminating", in_s=patience_s)
            if now - self._asked > patience_s:
                self._end("terminated", stage="terminating", following="killing", in_s=self._patience.terminate_s)
                self._terminated = now
        elif self.how == "terminated" and now - self._terminated > self._patience.terminate_s:
            self._end("killed", stage="killing")

    def end_leftovers(self) -> None:
        """End what is left of the run's processes after its head has gone."""
        known = {*self._tree, *processes.session_members(self._mark.pid)}
        stubborn, left = processes.end(
            list(known), leave_s=self._patience.leftovers_s, terminate_s=self._patience.terminate_s
        )
        self.left = [process.pid for process in left]
        if stubborn and self.how:
            self.how = "killed"

    def tell_gone(self) -> None:
        """Tell that nothing is left of a run that was asked to stop."""
        if self._run.has_request("stop") and not self.left:
            self._tell("gone")

    def _end(self, how: str, *, stage: str, following: str = "", in_s: float = 0.0) -> None:
        self._list_tree()
        self.how = how
        self._tell(stage, following=following, in_s=in_s)
        (processes.terminate if how == "terminated" else processes.kill)(self._tree)

    def _stop_patience_s(self) -> float:
        status = self._run.status()
        is_early = status is None or status.phase in EARLY_PHASES or not status.step
        return min(self._patience.early_s, self._patience.stop_s) if is_early else self._patience.stop_s

    def _tell(self, stage: str, *, following: str = "", in_s: float = 0.0) -> None:
        """Write stop.json, once for each stage and patience."""
        coming = {"next": following, "next_in_s": in_s} if following else {}
        if self._told.get("stage") == stage and self._told.get("next_in_s") == coming.get("next_in_s"):
            return
        times = {name: at for name, at in self._told.items() if name not in ("stage", "next", "next_in_s")}
        self._told = {"stage": stage, **{stage: time.time()}, **times, **coming}
        try:
            write_json(self._run.stop_file, self._told, durable=False)
        except OSError as error:
            print(f"{self._run.name}: its stopping could not be told: {error}", file=sys.stderr, flush=True)

    def _list_tree(self) -> None:
        self._seen = self._clock()
        self._tree = processes.process_tree(self._mark) or self._tree


def _memory_kills(path: Path = Path("/proc/vmstat")) -> int:
    """How many processes Linux has killed for want of memory since it began, in containers too; 0 elsewhere."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
