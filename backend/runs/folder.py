"""A run on disk: its folder, what lies in it, and the state that follows from it."""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass, replace
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

from backend.errors import StoppedByUser
from backend.runs.process import ProcessMark, own_mark
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

    A job in the foreground belongs to the command line that made it, its owner; the queue leaves it alone.
    devices: the GPUs that it keeps to, as their numbers; empty: all, see `occupancy`.
    submitted: when, as Unix time. order: the how manieth of the workspace, from 1; a clock that is set back does not
    change it. `submit` fills these and the owner in.
    """

    kind: str
    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()
    foreground: bool = False
    owner: ProcessMark | None = None
    devices: tuple[str, ...] = ()
    submitted: float = 0.0
    order: int = 0


@dataclass(frozen=True)
class Place:
    """Where a run stands in the queue: that with the smallest position is next. One that is held is passed over."""

    position: float
    held: bool = False


REQUESTS = ("stop", "stop_after_epoch", "save", "sample")
"""What a run can be asked for. All but stop and stop_after_epoch are taken away when they are heard."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run. Every file in it has one writer, named in docs/runs.md."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def workspace(self) -> Path:
        """The workspace whose folder of runs this one lies in."""
        return self.path.parents[1]

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
    def place_file(self) -> Path:
        return self.path / "place.json"

    @property
    def stop_file(self) -> Path:
        return self.path / "stop.json"

    @property
    def given_file(self) -> Path:
        return self.path / "given.toml"

    @property
    def notes_file(self) -> Path:
        return self.path / "notes.txt"

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

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    def job(self) -> Job | None:
        """What to run; None while the folder is still being made, and where job.json is not what `submit` writes."""
        try:
            return _read_job(self.job_file, self.job_file.stat().st_mtime_ns)
        except (OSError, ValueError):
            return None

    def status(self) -> Status | None:
        return read_status(self.status_file)

    def exit_record(self) -> dict[str, Any] | None:
        return read_json(self.exit_file)

    def place(self) -> Place:
        """Its place in the queue: where it was moved to, else in the order of submission."""
        job, record = self.job(), read_json(self.place_file) or {}
        position = record.get("position", job.order if job else 0)
        return Place(float(position), held=bool(record.get("held", False)))

    def stop_record(self) -> dict[str, Any] | None:
        """How far the stopping of the run is, see docs/runs.md; None while nobody stops it."""
        return read_json(self.stop_file)

    def process(self) -> ProcessMark | None:
        """The process at the head of the run: the one its parent recorded; when that is gone, the one that trains."""
        return self._process(self.status())

    def state(self) -> RunState:
        """What follows from the files and from whether the process lives."""
        return self.state_with(self.status(), self.exit_record())

    def state_with(self, status: Status | None, ended: dict[str, Any] | None) -> RunState:
        """The state where status and end have been read already."""
        process = self._process(status) if ended is None else None
        if process is not None and process.is_alive():
            return RunState.RUNNING if status else RunState.STARTING
        if status is not None and status.outcome:
            return RunState(status.outcome)
        if ended is not None:
            return _state_after_exit(ended, has_begun=status is not None)
        if process is not None:
            return RunState.CRASHED
        if self.has_request("stop"):
            return RunState.STOPPED
        job = self.job()
        is_orphan = job is not None and job.owner is not None and not job.owner.is_alive()
        return RunState.CRASHED if is_orphan else RunState.QUEUED

    def _process(self, status: Status | None) -> ProcessMark | None:
        records = (read_json(self.process_file), status.process if status else None)
        marks = [ProcessMark.read(record) for record in records if record and record.keys() >= {"pid", "started"}]
        return next((mark for mark in marks if mark.is_alive()), marks[0] if marks else None)

    def request(self, what: str) -> None:
        """Ask the run for one of REQUESTS; a training looks at the end of every step."""
        if what not in REQUESTS:
            raise ValueError(f"a run cannot be asked for {what!r}; known are {', '.join(REQUESTS)}")
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
    """A new, empty folder `runs/<time>_<name>`; a name that is taken or cannot be a folder's is changed."""
    safe_name = re.sub(r"[^\w.-]+", "_", name).strip("._") or "run"
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}_{safe_name[:60]}"
    return RunFolder(make_numbered_folder(workspace.absolute() / "runs", stem))


def make_numbered_folder(parent: Path, stem: str) -> Path:
    """A new folder `stem`, or `stem_2`, `stem_3`, ... where that is taken. Raises FileExistsError after a thousand."""
    for number in range(1, 1000):
        path = parent / (stem if number == 1 else f"{stem}_{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{parent / stem}: there are a thousand of this name")


def submit(run: RunFolder, job: Job, *, held: bool = False) -> None:
    """Write the job, last of all files: with it the run stands in the queue, passed over while it is held."""
    newest = next(iter(list_runs(run.workspace)), None)
    before = newest.job() if newest else None
    owner = own_mark() if job.foreground else None
    job = replace(job, owner=owner, submitted=time.time(), order=1 + (before.order if before else 0))
    if held:
        write_json(run.place_file, asdict(Place(job.order, held=True)))
    write_json(run.job_file, asdict(job))


def list_runs(workspace: Path) -> list[RunFolder]:
    """All runs of the workspace, the one submitted last first; names would not do, as a second may see several."""
    folder = workspace / "runs"
    if not folder.is_dir():
        return []
    runs = [(run, job) for run in map(RunFolder, folder.iterdir()) if (job := run.job()) is not None]
    runs.sort(key=lambda entry: (entry[1].order, entry[1].submitted, entry[0].name), reverse=True)
    return [run for run, _ in runs]


def find_run(workspace: Path, name: str) -> RunFolder | None:
    """The run of that folder name, None if there is none. A name that is a path is nobody's."""
    if not name or Path(name).name != name or name in (".", ".."):
        return None
    run = RunFolder(workspace / "runs" / name)
    return run if run.job() is not None else None


def needed_runs(run: RunFolder) -> list[RunFolder]:
    """The runs that must finish before this one starts; a folder may have been deleted meanwhile."""
    job = run.job()
    return [RunFolder(run.path.parent / name) for name in (job.needs if job else ())]


def _state_after_exit(ended: dict[str, Any], *, has_begun: bool) -> RunState:
    """The state of a run whose end was recorded and that did not say itself how it ended.

    has_begun: whether it wrote a status. Then it would have told an end in order, so it was killed, even if the code
    is 1: accelerate's launcher makes 1 of whatever became of the trainer.
    """
    code = ended.get("code")
    if ended.get("how") in ("terminated", "killed", "cancelled") or code == StoppedByUser.exit_code:
        return RunState.STOPPED
    if code == 0:
        return RunState.FINISHED
    ended_by_signal = code is not None and code < 0
    return RunState.CRASHED if has_begun or ended_by_signal else RunState.FAILED


@lru_cache(maxsize=10_000)
def _read_job(path: Path, _written: int) -> Job:
    """The job in a file, parsed once for each time it was written. Raises ValueError if it is none."""
    record = read_json(path)
    try:
        return Job(
            kind=record["kind"],
            name=record["name"],
            arguments=tuple(record["arguments"]),
            needs=tuple(record.get("needs", ())),
            foreground=bool(record.get("foreground", False)),
            owner=ProcessMark.read(record["owner"]) if record.get("owner") else None,
            devices=tuple(record.get("devices", ())),
            order=int(record.get("order", 0)),
            submitted=float(record.get("submitted", 0.0)),
        )
    except (KeyError, TypeError, ValueError) as error:  # TypeError: no object at all, or not of these types
        raise ValueError(f"{path}: not a job") from error
