"""The run to look at, where none is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backend.runs.folder import RunFolder, RunState, list_runs, needed_runs
from backend.runs.occupancy import needs_gpu


def current_run(workspace: Path, *, runs: Sequence[RunFolder] | None = None) -> RunFolder | None:
    """The run to look at: the one that goes on, else the first that waits, else the last that ended.

    Of several that go on, or are over, it is the newest, but a tool on the CPU gives way to trainings and caching.
    In place of a run that never starts because one that it needs failed, it is the one that failed.
    runs: those to choose from, the newest first; all of the workspace if None.
    """
    runs = list_runs(workspace) if runs is None else runs
    states = [(run, run.state()) for run in runs]
    going_on = [run for run, state in states if state in (RunState.RUNNING, RunState.STARTING)]
    if going_on:
        return last_run(going_on)
    waiting = [run for run, state in reversed(states) if state is RunState.QUEUED]
    if waiting:
        return _what_kept_it(min(waiting, key=lambda run: (run.place().held, run.place().position)))
    last = last_run(runs)
    return _what_kept_it(last) if last else None


def last_run(runs: Sequence[RunFolder]) -> RunFolder | None:
    """The first of these that is no tool on the CPU, else the first. runs: the newest first."""
    return next(filter(needs_gpu, runs), next(iter(runs), None))


def _what_kept_it(run: RunFolder) -> RunFolder:
    """The run that ended otherwise than finished and so keeps this one from starting; else the run itself."""
    if run.process() is not None:
        return run
    for needed in needed_runs(run):
        if needed.job() is not None and (state := needed.state()).is_over and state is not RunState.FINISHED:
            return _what_kept_it(needed)
    return run
