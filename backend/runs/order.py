"""The order of the queue: which runs wait, and moving, holding and releasing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import takewhile
from pathlib import Path

from backend.errors import InputError
from backend.runs.folder import RunFolder, RunState, list_runs, needed_runs
from backend.runs.occupancy import exclude_each_other, occupies
from backend.runs.status import write_json


def waiting_runs(workspace: Path) -> list[RunFolder]:
    """The queued runs, held ones too, in the order in which the worker takes them."""
    return [run for run in queued_order(list_runs(workspace)) if run.state() is RunState.QUEUED]


def queued_order(runs: Sequence[RunFolder]) -> list[RunFolder]:
    """The queue's jobs among these runs, which are listed with the newest first, in the order of their places."""
    jobs = [run for run in reversed(runs) if (job := run.job()) is not None and not job.foreground]
    return sorted(jobs, key=lambda run: run.place().position)  # a stable sort: submitted earlier stays earlier


def runs_ahead(run: RunFolder) -> list[RunFolder]:
    """The runs that have to end before a waiting one begins: those that it needs, and those that occupy, or get before
    it, what it needs too."""
    before = [
        other for other in takewhile(lambda other: other != run, waiting_runs(run.workspace)) if not other.place().held
    ]
    going_on = [other for other in list_runs(run.workspace) if not other.state().is_over and occupies(other)]
    needed = [other for other in needed_runs(run) if not other.state().is_over]
    rivals = [other for other in (*going_on, *before) if other != run and exclude_each_other(run, other)]
    return list(dict.fromkeys([*needed, *rivals]))


def hold(run: RunFolder) -> None:
    """Let the worker pass the run over until it is released. Raises InputError for one that does not wait."""
    _write_place(run, held=True)


def release(run: RunFolder) -> None:
    """Let the run take its turn again; a worker is not started. Raises InputError for one that does not wait."""
    _write_place(run, held=False)


def move(run: RunFolder, to: int) -> None:
    """Put a waiting run at a place among those that wait: 0 is next, and what is too large last.

    The others stay as they are, so a kill in between changes nothing; only where they have come too close they are
    numbered anew. Raises InputError for one that does not wait.
    """
    _check_waits(run)
    others = [other for other in waiting_runs(run.workspace) if other != run]
    to = max(0, min(to, len(others)))
    position = _position_at(others, to)
    if position is None:
        for number, other in enumerate(others):
            _write_place(other, position=float(number))
        position = to - 0.5
    _write_place(run, position=position)


def _position_at(others: Sequence[RunFolder], to: int) -> float | None:
    """A position before the one at this place; None where two neighbours have no number between them any more.

    They are whole at first, so that some fifty moves fit into a gap.
    """
    before = others[to - 1].place().position if to else None
    after = others[to].place().position if to < len(others) else None
    if before is None or after is None:
        return (after or 0.0) - 1 if before is None else before + 1
    middle = (before + after) / 2
    return middle if before < middle < after else None


def _write_place(run: RunFolder, **changes: float | bool) -> None:
    _check_waits(run)
    write_json(run.place_file, asdict(replace(run.place(), **changes)))


def _check_waits(run: RunFolder) -> None:
    state = run.state()
    job = run.job()
    if state is not RunState.QUEUED or (job is not None and job.foreground):
        raise InputError(f"{run.name}: is {state.value} and does not wait in the queue", hint="see queue list")
