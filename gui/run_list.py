"""All runs for the Runs tab, `GET /runs?since=VERSION`: only what has changed since the page last looked."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.runs.folder import RunFolder, RunState
from backend.runs.history import RunRow, row_of
from backend.runs.occupancy import CPU_KINDS

FRESH_S = 0.9
"""A look at the folder that is younger than this serves the next page too; pages ask twice a second."""

SETTLED_S = 2.0
"""A folder that changed less than this ago may change again within one tick of its file system's clock."""


def list_runs_since(request: Request) -> JSONResponse:
    """Answers what `RunList.since` gives; with `&now=1` no look is shared, so that an action shows at once."""
    query = request.query_params
    return JSONResponse(request.app.state.run_list.since(query.get("since", ""), at_once="now" in query))


def list_trainings(request: Request) -> JSONResponse:
    """Answers {"runs": [[folder name, title], ...]}: the trainings that have begun, the newest first."""
    return JSONResponse({"runs": request.app.state.run_list.trainings()})


class RunList:
    """The rows of a workspace's runs, each with the version of the list in which it last changed.

    A run that is over is read again only when its folder was written to: whatever is replaced in it changes the time of
    the folder, so that a look at 2,000 of them takes some milliseconds. clock: Unix time. fresh_s: how old a look may
    be that serves another page too.
    """

    def __init__(self, workspace: Path, *, clock: Callable[[], float] = time.time, fresh_s: float = FRESH_S) -> None:
        self._folder = workspace / "runs"
        self._clock = clock
        self._lock = threading.Lock()
        self._id = secrets.token_hex(4)  # versions of an earlier server mean nothing here
        self._version = 0
        self._fresh_s = fresh_s
        self._looked = -float("inf")
        self._rows: dict[str, tuple[int, RunRow]] = {}
        self._gone: dict[str, int] = {}
        self._settled: dict[str, int] = {}  # time of the folder as it was when a run that is over was read

    def since(self, version: str, *, at_once: bool = False) -> dict[str, Any]:
        """{"version", "rows": those that have changed, "gone": names of those that are no more, "all": bool}.

        all: the version is none of ours, and the rows are all there are. Values that are empty are left out of a row.
        at_once: look again, even if the last look is fresh.
        """
        with self._lock:
            self._look(at_once=at_once)
            identity, _, number = version.partition("-")
            is_known = identity == self._id and number.isdecimal()
            since = int(number) if is_known else 0
            return {
                "version": f"{self._id}-{self._version}",
                "all": not is_known,
                "rows": [_told(row) for changed, row in self._rows.values() if changed > since],
                "gone": [name for name, removed in self._gone.items() if removed > since] if is_known else [],
            }

    def trainings(self) -> list[tuple[str, str]]:
        """Folder name and title of each training that has begun, the newest first."""
        with self._lock:
            self._look()
            rows = [row for _, row in self._rows.values() if row.kind == "train" and row.step]
        rows.sort(key=lambda row: row.submitted, reverse=True)
        return [(row.run, row.title) for row in rows]

    def candidates(self) -> list[RunFolder]:
        """The runs among which the current one is, the newest first.

        Those that are not over, the newest of all, and the newest that is no tool on the CPU.
        """
        with self._lock:
            self._look()
            rows = [row for _, row in self._rows.values()]
        newest = [
            max(some, key=_place, default=None) for some in (rows, [row for row in rows if row.kind not in CPU_KINDS])
        ]
        wanted = [row for row in rows if row in newest or not row.state.is_over]
        return [RunFolder(self._folder / row.run) for row in sorted(wanted, key=_place, reverse=True)]

    def waiting_for(self, run: str) -> list[RunRow]:
        """The runs that wait for this one, directly or by another, in the order in which they will start."""
        with self._lock:
            self._look()
            rows = sorted((row for _, row in self._rows.values() if row.state is RunState.QUEUED), key=_place)
        awaited = {run}
        for row in rows:  # what is needed was submitted before
            if awaited.intersection(row.needs):
                awaited.add(row.run)
        return [row for row in rows if row.run in awaited - {run}]

    def _look(self, *, at_once: bool = False) -> None:
        if not at_once and time.monotonic() - self._looked < self._fresh_s:
            return
        version = self._version + 1
        written = _folders(self._folder)
        for name, folder_time in written.items():
            if self._settled.get(name) != folder_time:
                self._read(name, folder_time, version)
        for name in self._rows.keys() - written.keys():
            del self._rows[name]
            self._settled.pop(name, None)
            self._gone[name] = self._version = version
        self._looked = time.monotonic()

    def _read(self, name: str, folder_time: int, version: int) -> None:
        row = row_of(RunFolder(self._folder / name))
        if row is None:
            return
        if name not in self._rows or self._rows[name][1] != row:
            self._rows[name] = version, row
            self._gone.pop(name, None)
            self._version = version
        if row.state.is_over and self._clock() - folder_time / 1e9 > SETTLED_S:
            self._settled[name] = folder_time


def _place(row: RunRow) -> tuple[float, float, str]:
    return row.submitted, row.position, row.run


def _folders(folder: Path) -> dict[str, int]:
    """Each folder in it, with the time at which it was last written to."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_mtime_ns for entry in entries if entry.is_dir()}
    except FileNotFoundError:  # no run yet
        return {}


def _told(row: RunRow) -> dict[str, Any]:
    """The row without what is empty; a loss of 0 is not."""
    values = {**vars(row), "state": row.state.value}
    return {name: value for name, value in values.items() if value or (name == "loss" and value is not None)}
