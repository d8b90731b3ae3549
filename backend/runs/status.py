"""What a run says of itself: status.json, replaced as a whole, and metrics.jsonl, one line for each step."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from backend.atomic_file import is_disk_full, read_text, write_text
from backend.runs.process import own_mark
from backend.runs.reserve import Reserve

Phase = Literal["starting", "loading", "caching", "training", "sampling", "computing", "saving", "done"]
Outcome = Literal["", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class Status:
    """Where a run stands. Steps are optimizer steps of a training, items of a caching, modules of a LoRA file;
    times are in seconds.

    exit_code: what the run's command ends with, told with the outcome where a launcher would make 1 of it.
    error: what it failed with, as `error_record.describe_error` gives it. troubles: what went wrong and did not end it,
    such as a full disk: an id of failure_texts.py and a message each. seconds: how long it has been running, by a clock
    that is never set. peak_memory_bytes: the most main memory that its process has used.
    memory: of a training's device, {"kind": "cuda" or "cpu", "device": its name, "total_bytes", "peak_bytes"}.
    """

    phase: Phase = "starting"
    step: int = 0
    total_steps: int = 0
    epoch: int = 0
    total_epochs: int = 0
    loss: float | None = None
    average_loss: float | None = None
    seconds_per_step: float | None = None
    time_left_s: float | None = None
    message: str = ""
    outcome: Outcome = ""
    exit_code: int | None = None
    files: tuple[str, ...] = ()
    log_folder: str = ""
    memory: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)
    troubles: tuple[Mapping[str, str], ...] = ()
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    process: Mapping[str, float] = field(default_factory=dict)
    started: float = 0.0
    updated: float = 0.0


def read_status(path: Path) -> Status | None:
    """The status in a file, None if there is none yet. Keys of later versions are passed over."""
    record = read_json(path)
    if record is None:
        return None
    known = {name: value for name, value in record.items() if name in Status.__dataclass_fields__}
    return Status(**{**known, **{name: tuple(known.get(name, ())) for name in ("files", "troubles")}})


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if the file is missing or not whole."""
    try:
        record = json.loads(read_text(path))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def write_json(path: Path, record: Mapping[str, Any], *, durable: bool = True) -> None:
    """Write an object as JSON, all or nothing. durable: it outlives a power failure."""
    write_text(path, json.dumps(record, ensure_ascii=False, indent=1) + "\n", durable=durable)


class Reporter:
    """The one writer of a run's status and metrics. Without a folder it only keeps the status.

    A run goes on though they cannot be written (a full disk, say): that is told once on stderr, and in the status as
    soon as that can be written, for which some room is kept back.
    clock: seconds that never jump; wall_clock: Unix time.
    """

    FOLDER_VARIABLE = "LORALOOM_RUN"
    """The environment variable that tells a command the folder of the run it is."""

    INTERVAL_S = 0.5
    """Steps reported faster than this are written together."""

    def __init__(
        self,
        folder: Path | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self._clock, self._wall_clock = clock, wall_clock
        now = wall_clock()
        self.status = Status(process=own_mark().record(), started=now, updated=now)
        self._began = clock()
        self._written = -self.INTERVAL_S
        self._told_of_error = False
        self._reserve: Reserve | None = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self._reserve = Reserve(folder)
            self._reserve.keep()

    @classmethod
    def from_environment(cls) -> Reporter:
        """The reporter of the run that this process was started as, or one that writes nothing."""
        folder = os.environ.get(cls.FOLDER_VARIABLE)
        return cls(Path(folder) if folder else None)

    def update(self, **changes: Any) -> None:
        """Change some fields; a new phase or outcome is written at once, the rest twice a second."""
        at_once = any(getattr(self.status, name) != changes[name] for name in ("phase", "outcome") if name in changes)
        self.status = replace(
            self.status,
            **changes,
            updated=self._wall_clock(),
            seconds=self._clock() - self._began,
            peak_memory_bytes=peak_memory(),
        )
        if at_once or self._clock() - self._written > self.INTERVAL_S:
            self._write()
        if self.status.outcome and self._reserve:
            self._reserve.give_up()

    def trouble(self, identity: str, message: str) -> None:
        """Tell of something that went wrong and does not end the run; each kind once. identity: see `Status`."""
        if all(trouble["id"] != identity for trouble in self.status.troubles):
            self.status = replace(self.status, troubles=(*self.status.troubles, {"id": identity, "message": message}))
            self._write()

    def add_metrics(self, **values: Any) -> None:
        """Append one line to metrics.jsonl, or none: half a line is taken back."""
        if self.folder is None:
            return
        line = json.dumps({**values, "time": self._wall_clock()}) + "\n"
        with self._told_errors():
            _append(self.folder / "metrics.jsonl", line.encode("utf-8"))

    def is_requested(self, name: str) -> bool:
        """Whether somebody asked the run for this, with `RunFolder.request`."""
        return self.folder is not None and (self.folder / "requests" / name).exists()

    def answer(self, name: str) -> None:
        """Take a request away that has been heard, so that it can be made again."""
        if self.folder is not None:
            (self.folder / "requests" / name).unlink(missing_ok=True)

    def _write(self) -> None:
        self._written = self._clock()
        if self.folder is None or self._reserve is None:
            return
        path = self.folder / "status.json"
        with self._told_errors():  # not durable: waiting for the disk twice a second would slow the training
            self._reserve.write(lambda: write_json(path, asdict(self.status), durable=False))

    @contextlib.contextmanager
    def _told_errors(self) -> Iterator[None]:
        """Errors of writing inside are told, the first of them, and not raised."""
        try:
            yield
        except OSError as error:
            if not self._told_of_error:
                self._told_of_error = True
                print(f"warning: the run goes on, but it cannot be told here: {error}", file=sys.stderr, flush=True)
                if is_disk_full(error):
                    self.trouble("disk_full", str(error))


def peak_memory() -> int:
    """The most main memory that this process has had at once, in bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


def _append(path: Path, content: bytes) -> None:
    """Add to the end of a file, all of it or nothing."""
    with path.open("ab", buffering=0) as file:
        end = file.tell()
        try:
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            file.truncate(end)
            raise
