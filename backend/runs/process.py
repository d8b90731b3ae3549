"""Processes of runs: started in a group of their own, told apart for certain, and ended with all they started."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from backend.runs.console import ask_to_break

PROJECT = Path(__file__).resolve().parents[2]

THREADS_YIELD = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait do not spin: 40 steps of the demo take 9 s instead of 51 on two cores that others use too, and 8 s
instead of 5 on idle ones; page, TensorBoard and browser share the cores as a rule."""


@dataclass(frozen=True)
class ProcessMark:
    """A process that cannot be mistaken for a later one with the same pid. started: when, in the system's own count."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessMark:
        """The mark of a living process. Raises psutil.NoSuchProcess if there is none."""
        return cls(pid, _start_time(pid))

    @classmethod
    def read(cls, record: Mapping[str, object]) -> ProcessMark:
        return cls(int(record["pid"]), float(record["started"]))  # type: ignore[call-overload, arg-type]

    def record(self) -> dict[str, float]:
        """As JSON holds it."""
        return asdict(self)

    def is_alive(self) -> bool:
        """Whether this very process runs; a zombie does not."""
        try:
            return _start_time(self.pid) == self.started and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            return False


def own_mark() -> ProcessMark:
    """The mark of this process."""
    return ProcessMark.of(os.getpid())


def start_detached(arguments: list[str], *, log_file: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a Python command of the project in a group of its own; it outlives whoever started it.

    arguments: what follows the interpreter. Output goes to `log_file` by file descriptor, so nobody needs to read it.
    """
    with log_file.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT,
            env={**THREADS_YIELD, **os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            **own_group(),
        )


def own_group() -> dict[str, object]:
    """What Popen is given so that Ctrl+C in the terminal does not reach the child; on Windows it gets no window."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def process_tree(mark: ProcessMark) -> list[psutil.Process]:
    """The process, all its descendants and its session's members that live, [] when the process is gone."""
    if not mark.is_alive():
        return []
    try:
        process = psutil.Process(mark.pid)
        found = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    return found + [member for member in session_members(mark.pid) if member not in found]


def session_members(leader: int) -> list[psutil.Process]:
    """The processes of the session that `start_detached` made for that pid, also those whose parent died first.

    The leader may just have ended: its number is not given to another process while the session has members.
    [] on Windows, which has no sessions of this kind.
    """
    if sys.platform == "win32":
        return []
    return [process for process in psutil.process_iter() if _session(process.pid) == leader]


def terminate(processes: list[psutil.Process]) -> None:
    """Ask the processes to end: with SIGTERM, on Windows with CTRL_BREAK for the whole group of the first one.

    Python ends at either of them at once. Where CTRL_BREAK cannot be sent, Windows' processes are ended as with `kill`.
    """
    if sys.platform == "win32" and processes and ask_to_break(processes[0].pid):
        return
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()


def kill(processes: list[psutil.Process]) -> None:
    """End the processes at once."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def survivors(processes: list[psutil.Process], *, timeout_s: float) -> list[psutil.Process]:
    """Those of the processes that still run after at most `timeout_s` seconds. Nothing is reaped."""
    end = time.monotonic() + timeout_s
    while (alive := [process for process in processes if _runs(process)]) and time.monotonic() < end:
        time.sleep(0.05)
    return alive


def end(
    processes: list[psutil.Process], *, leave_s: float, terminate_s: float
) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """End processes that should leave by themselves: they may, are terminated, are killed.

    leave_s, terminate_s: how long to wait before and after each of the two. Returns those that had to be killed, and of
    these the ones that run even so, such as one that waits for a disk or belongs to another user.
    """
    staying = survivors(processes, timeout_s=leave_s)
    terminate(staying)
    stubborn = survivors(staying, timeout_s=terminate_s)
    kill(stubborn)
    return stubborn, survivors(stubborn, timeout_s=terminate_s)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _start_time(pid: int) -> float:
    """When the process started. On Linux in clock ticks since boot, which no change of the clock touches."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise psutil.NoSuchProcess(pid) from error
        return float(stat.rpartition(")")[2].split()[19])  # field 22; the name in field 2 may hold anything
    return psutil.Process(pid).create_time()
