"""What a run says of itself: status.json, replaced as a whole, and metrics.jsonl, one line for each step."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from backend.atomic_file import read_text, write_text
from backend.runs.process import ProcessMark

Phase = Literal["starting", "loading", "caching", "training", "sampling", "saving", "done"]
Outcome = Literal["", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class Status:
    """Where a run stands. Steps are optimizer steps of a training, items of a caching; times are in seconds.

    exit_code: what the run's command ends with, told with the outcome where a launcher would make 1 of it.
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
    process: Mapping[str, float] = field(default_factory=dict)
    started: float = 0.0
    updated: float = 0.0


def read_status(path: Path) -> Status | None:
    """The status in a file, None if there is none yet. Keys of later versions are passed over."""
    record = read_json(path)
    if record is None:
        return None
    known = {name: value for name, value in record.items() if name in Status.__dataclass_fields__}
    return Status(**{**known, "files": tuple(known.get("files", ()))})


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

    A run goes on though they cannot be written (a full disk, say): that is told once on stderr.
    """

    FOLDER_VARIABLE = "LORALOOM_RUN"
    """The environment variable that tells a command the folder of the run it is."""

    INTERVAL_S = 0.5
    """Steps reported faster than this are written together."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        now = time.time()
        self.status = Status(process=ProcessMark.of(os.getpid()).record(), started=now, updated=now)
        self._written = 0.0
        self._told_of_error = False
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def from_environment(cls) -> Reporter:
        """The reporter of the run that this process was started as, or one that writes nothing."""
        folder = os.environ.get(cls.FOLDER_VARIABLE)
        return cls(Path(folder) if folder else None)

    def update(self, **changes: Any) -> None:
        """Change some fields; a new phase or outcome is written at once, the rest twice a second."""
        at_once = any(getattr(self.status, name) != changes[name] for name in ("phase", "outcome") if name in changes)
        self.status = replace(self.status, **changes, updated=time.time())
        if at_once or time.monotonic() - self._written > self.INTERVAL_S:
            self._write()

    def add_metrics(self, **values: Any) -> None:
        """Append one line to metrics.jsonl."""
        if self.folder is None:
            return
        line = json.dumps({**values, "time": time.time()}) + "\n"
        with self._told_errors(), (self.folder / "metrics.jsonl").open("a", encoding="utf-8", newline="\n") as file:
            file.write(line)

    def is_requested(self, name: str) -> bool:
        """Whether somebody asked the run for this, with `RunFolder.request`."""
        return self.folder is not None and (self.folder / "requests" / name).exists()

    def answer(self, name: str) -> None:
        """Take a request away that has been heard, so that it can be made again."""
        if self.folder is not None:
            (self.folder / "requests" / name).unlink(missing_ok=True)

    def _write(self) -> None:
        self._written = time.monotonic()
        if self.folder is None:
            return
        with self._told_errors():  # not durable: waiting for the disk twice a second would slow the training
            write_json(self.folder / "status.json", asdict(self.status), durable=False)

    @contextlib.contextmanager
    def _told_errors(self) -> Iterator[None]:
        """Errors of writing inside are told, the first of them, and not raised."""
        try:
            yield
        except OSError as error:
            if not self._told_of_error:
                self._told_of_error = True
                print(f"warning: the run goes on, but it cannot be told here: {error}", file=sys.stderr, flush=True)
