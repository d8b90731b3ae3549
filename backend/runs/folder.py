"""A run on disk: its folder, what lies in it, and the state that follows from it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from backend.errors import StoppedByUser
from backend.runs.process import ProcessMark
from backend.runs.status import Status, read_json, read_status, write_json


class RunState(str, Enum):
    """State of a run, derived from its files and living processes, never stored."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    CRASHED = "crashed"

    @property
    def is_over(self) -> bool:
        return self in (RunState.FINISHED, RunState.STOPPED, RunState.FAILED, RunState.CRASHED)


@dataclass(frozen=True)
class Job:
    """What to run. arguments: what follows the Python interpreter. needs: names of runs that must finish first.

    A job in the foreground belongs to the command line that made it; the queue leaves it alone.
    submitted: when, as Unix time; `submit` fills it in.
    """

    kind: str
    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()
    foreground: bool = False
    submitted: float = 0.0


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run. Every file in it has one writer, named in docs/runs.md."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config_file(self) -> Path:
        return self.path / "config.toml"

    @property
    def dataset_file(self) -> Path:
        return self.path / "dataset.toml"

    @property
    def job_file(self) -> Path:
        return self.path / "job.json"

    @property
    def status_file(self) -> Path:
        return self.path / "status.json"

    @property
    def process_file(self) -> Path:
        return self.path / "process.json"

    @property
    def exit_file(self) -> Path:
        return self.path / "exit.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def log_file(self) -> Path:
        return self.path / "train.log"

    @property
    def lock_file(self) -> Path:
        return self.path / "run.lock"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def job(self) -> Job | None:
        """What to run; None while the folder is still being made."""
        record = read_json(self.job_file)
        if record is None:
            return None
        return Job(
            kind=record["kind"],
            name=record["name"],
            arguments=tuple(record["arguments"]),
            needs=tuple(record.get("needs", ())),
            foreground=bool(record.get("foreground", False)),
            submitted=float(record.get("submitted", 0.0)),
        )

    def status(self) -> Status | None:
        return read_status(self.status_file)

    def exit_record(self) -> dict[str, Any] | None:
        return read_json(self.exit_file)

    def process(self) -> ProcessMark | None:
        """The process at the head of the run: the one its parent recorded; when that is gone, the one that trains."""
        status = self.status()
        records = (read_json(self.process_file), dict(status.process) if status else None)
        marks = [ProcessMark.read(record) for record in records if record]
        return next((mark for mark in marks if mark.is_alive()), marks[0] if marks else None)

    def state(self) -> RunState:
        """What follows from the files and from whether the process lives."""
        status, process, ended = self.status(), self.process(), self.exit_record()
        if ended is None and process is not None and process.is_alive():
            return RunState.RUNNING if status else RunState.STARTING
        if status is not None and status.outcome:
            return RunState(status.outcome)
        if ended is not None:
            return _state_after_exit(ended)
        if process is not None:
            return RunState.CRASHED
        return RunState.STOPPED if self.has_request("stop") else RunState.QUEUED

    def request(self, what: str) -> None:
        """Ask the run for something (stop, save); it looks at the end of every step."""
        folder = self.path / "requests"
        folder.mkdir(exist_ok=True)
        (folder / what).touch()

    def has_request(self, what: str) -> bool:
        return (self.path / "requests" / what).exists()

    def requested_at(self, what: str) -> float | None:
        """When it was asked for, as Unix time; None if it was not."""
        try:
            return (self.path / "requests" / what).stat().st_mtime
        except OSError:
            return None


def create_run_folder(workspace: Path, name: str) -> RunFolder:
    """A new, empty folder `runs/<time>_<name>`; a number is added where that name is taken."""
    safe_name = re.sub(r"[^\w.-]+", "_", name).strip("._") or "run"
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}_{safe_name[:60]}"
    for number in range(1, 1000):
        path = workspace.absolute() / "runs" / (stem if number == 1 else f"{stem}_{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return RunFolder(path)
    raise FileExistsError(f"{stem}: a thousand runs of this name in one second")


def submit(run: RunFolder, job: Job) -> None:
    """Write the job, last of all files: with it the run stands in the queue."""
    write_json(run.job_file, asdict(replace(job, submitted=time.time())))


def list_runs(workspace: Path) -> list[RunFolder]:
    """All runs of the workspace, the newest first."""
    folder = workspace / "runs"
    if not folder.is_dir():
        return []
    return [RunFolder(path) for path in sorted(folder.iterdir(), reverse=True) if (path / "job.json").is_file()]


def find_run(workspace: Path, name: str) -> RunFolder | None:
    """The run of that folder name, None if there is none. A name that is a path is nobody's."""
    if not name or Path(name).name != name or name in (".", ".."):
        return None
    run = RunFolder(workspace / "runs" / name)
    return run if run.job_file.is_file() else None


def current_run(workspace: Path, *, runs: Sequence[RunFolder] | None = None) -> RunFolder | None:
    """The run to look at: the one that goes on, else the first that waits, else the last that ended."""
    runs = list_runs(workspace) if runs is None else runs
    states = [(run, run.state()) for run in runs]
    for run, state in states:
        if state in (RunState.RUNNING, RunState.STARTING):
            return run
    waiting = [run for run, state in states if state is RunState.QUEUED]
    if waiting:
        return waiting[-1]
    return runs[0] if runs else None


def _state_after_exit(ended: dict[str, Any]) -> RunState:
    """The state of a run whose end was recorded and that said nothing of it itself."""
    code = ended.get("code")
    if ended.get("how") in ("terminated", "killed", "cancelled") or code == StoppedByUser.exit_code:
        return RunState.STOPPED
    if code is not None and code < 0:  # ended by a signal
        return RunState.CRASHED
    return RunState.FINISHED if code == 0 else RunState.FAILED
