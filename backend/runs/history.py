"""The list of runs: queue and history in one table, each run as one row, read fast."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from backend.runs.failures import find_failure
from backend.runs.folder import RunFolder, RunState, list_runs
from backend.runs.notes import read_notes


@dataclass(frozen=True)
class RunRow:
    """One run in a table. Times are Unix time, None while there is none; seconds: how long it has run.

    run: name of the folder. title: name of the job, as the user gave it. held and position: see `Place`. loss: the last
    one. failure: id of the cause, "" for a run that did not fail.
    """

    run: str
    title: str
    kind: str
    state: RunState
    submitted: float
    position: float
    held: bool
    needs: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    foreground: bool = False
    started: float | None = None
    ended: float | None = None
    seconds: float | None = None
    phase: str = ""
    step: int = 0
    total_steps: int = 0
    epoch: int = 0
    total_epochs: int = 0
    loss: float | None = None
    average_loss: float | None = None
    peak_memory_bytes: int = 0
    peak_gpu_bytes: int = 0
    message: str = ""
    failure: str = ""
    notes: str = ""
    troubles: tuple[Mapping[str, str], ...] = ()

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "state": self.state.value}


def list_rows(workspace: Path) -> list[RunRow]:
    """All runs of the workspace, the one submitted last first.

    A run that is over is read again only when one of its files has changed.
    """
    return [row for run in list_runs(workspace) if (row := row_of(run)) is not None]


def row_of(run: RunFolder) -> RunRow | None:
    """The row of a run, None while its folder is still being made."""
    return _row_of_ended(run.path, _signature(run)) or _read_row(run)


def _signature(run: RunFolder) -> tuple[int, ...]:
    """When each of the files that make up a row was written, 0 where there is none."""
    files = (run.job_file, run.status_file, run.exit_file, run.process_file, run.place_file, run.notes_file)
    return tuple(_written(str(path)) for path in files)


def _written(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 (pathlib's takes three times as long, and 2,000 runs have many)
    except OSError:
        return 0


@lru_cache(maxsize=10_000)
def _row_of_ended(path: Path, _signature: tuple[int, ...]) -> RunRow | None:
    """The row of a run that is over, for as long as its files stay as they are; None for one that is not."""
    row = _read_row(RunFolder(path))
    return row if row is not None and row.state.is_over else None


def _read_row(run: RunFolder) -> RunRow | None:
    job, status, ended = run.job(), run.status(), run.exit_record()
    if job is None:
        return None
    state = run.state_with(status, ended)
    place = run.place()
    failure = find_failure(run) if state in (RunState.FAILED, RunState.CRASHED) else None
    row = {
        "run": run.name,
        "title": job.name,
        "kind": job.kind,
        "state": state,
        "submitted": job.submitted,
        "position": place.position,
        "held": place.held,
        "needs": job.needs,
        "devices": job.devices,
        "foreground": job.foreground,
        "failure": failure.id if failure else "",
        "notes": read_notes(run),
    }
    if status is not None:
        names = ("started", "seconds", "phase", "step", "total_steps", "epoch", "total_epochs", "loss", "average_loss")
        names += ("peak_memory_bytes", "message", "troubles")
        row |= {name: getattr(status, name) for name in names}
        row["peak_gpu_bytes"] = status.memory.get("peak_bytes", 0) if status.memory.get("kind") == "cuda" else 0
        row["ended"] = status.updated if state.is_over else None
    if ended is not None:
        row["ended"] = ended.get("at")
    return RunRow(**row)
