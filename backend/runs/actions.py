"""What a person asks of a run, from the page or the command line: stop, save, sample, cancel."""

from __future__ import annotations

from backend.errors import InputError
from backend.runs.folder import RunFolder, RunState
from backend.runs.queue import ensure_worker

HAS_BEGUN = (RunState.STARTING, RunState.RUNNING)


def stop(run: RunFolder) -> RunState:
    """Ask a run to save and leave, or take it out of the queue. Returns its state when asked; one that is over stays.

    A worker is made sure of: it takes the further steps, see docs/runs.md, and records the end.
    """
    state = run.state()
    if not state.is_over:
        run.request("stop")
        ensure_worker(run.workspace)
    return state


def cancel(run: RunFolder) -> None:
    """Take a waiting run out of the queue. Raises InputError for one that has begun or is over."""
    state = run.state()
    if state is not RunState.QUEUED:
        raise InputError(f"{run.name}: is {state.value} and does not wait in the queue", hint="stop it instead")
    stop(run)


def ask(run: RunFolder, what: str) -> None:
    """Ask a run that goes on for "save", "sample" or "stop_after_epoch"; it hears at the end of the step.

    Raises InputError for one that does not go on, and where the request does not fit its kind.
    """
    state, job = run.state(), run.job()
    if state not in HAS_BEGUN:
        raise InputError(f"{run.name}: is {state.value}, only a run that goes on can be asked for {what}")
    if job is None or job.kind != "train":
        raise InputError(f"{run.name}: only a training can be asked for {what}", hint="stop it, or let it end")
    run.request(what)
