"""What the Runs tab does with runs that have begun or are over: look into them, start them anew, note, delete."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.errors import InputError, UserError
from backend.runs.again import resume_run, run_again
from backend.runs.bin import delete_run, deleted_runs, disk_bytes, erase_run, restore_run
from backend.runs.failures import find_failure
from backend.runs.folder import RunFolder, find_run
from backend.runs.notes import read_notes, write_notes
from backend.runs.queue import ensure_worker
from backend.runs.states import SavedState, list_states
from gui.failure_words import told_failure
from gui.languages import language_of
from gui.run_actions import act, no_run, refused
from gui.texts import texts_of

LONGEST_NOTE = 100_000


def run_details(request: Request) -> JSONResponse:
    """Answers {"folder", "notes", "disk_bytes", "states": [{"name", "path", "step", "epoch", "saved"}], "failure"}."""
    run = find_run(request.app.state.workspace, request.path_params["name"])
    if run is None:
        return no_run(request)
    failure = find_failure(run)
    return JSONResponse(
        {
            "folder": str(run.path),
            "notes": read_notes(run),
            "disk_bytes": disk_bytes(run),
            "states": [_told_state(state) for state in list_states(run)],
            "failure": told_failure(failure, texts_of(language_of(request))) if failure else None,
        }
    )


def start_again(request: Request) -> JSONResponse:
    """Submit the run's training once more, after the caching that it needs. Answers {"run": its folder name}."""
    return _submit(request, run_again)


async def resume(request: Request) -> JSONResponse:
    """Submit a training that goes on from the state {"state": name} of this run, its last if none is named.

    It comes after the caching that it needs. Answers {"run": its folder name}.
    """
    try:
        name = (await request.json())["state"]
    except (ValueError, KeyError, TypeError):
        name = None
    make = partial(_resume_from, name=name)
    return await run_in_threadpool(_submit, request, make)


async def note(request: Request) -> JSONResponse:
    """Keep {"text": ...} as the run's notes."""
    try:
        text = (await request.json())["text"]
    except (ValueError, KeyError, TypeError):
        text = None
    if not isinstance(text, str) or len(text) > LONGEST_NOTE:
        return JSONResponse({"error": f"wanted a text of at most {LONGEST_NOTE:,} characters"}, status_code=400)
    return act(request, lambda run: write_notes(run, text))


def delete(request: Request) -> JSONResponse:
    """Put the run into the bin."""
    return act(request, delete_run)


def list_bin(request: Request) -> JSONResponse:
    """Answers {"runs": [{"run", "title", "bytes"}, ...]}: what is in the bin."""
    return JSONResponse({"runs": [_told_deleted(run) for run in deleted_runs(request.app.state.workspace)]})


def restore(request: Request) -> JSONResponse:
    """Take the run out of the bin."""
    return _with_bin(request, restore_run)


def erase(request: Request) -> JSONResponse:
    """Remove a run that is in the bin for good."""
    return _with_bin(request, erase_run)


def _submit(request: Request, make: Callable[[RunFolder], list[RunFolder]]) -> JSONResponse:
    run = find_run(request.app.state.workspace, request.path_params["name"])
    if run is None:
        return no_run(request)
    try:
        made = make(run)
    except UserError as error:
        return refused(request, error)
    ensure_worker(run.workspace)
    return JSONResponse({"run": made[-1].name})


def _resume_from(run: RunFolder, *, name: str | None) -> list[RunFolder]:
    return resume_run(run, state=_find_state(run, name) if name else None)


def _with_bin(request: Request, action: Callable[[Path, str], object]) -> JSONResponse:
    name = request.path_params["name"]
    try:
        action(request.app.state.workspace, name)
    except UserError as error:
        return refused(request, error)
    return JSONResponse({"run": name})


def _find_state(run: RunFolder, name: str) -> Path:
    """The state of that folder name. Raises InputError if the run has none of it."""
    for state in list_states(run):
        if state.path.name == name:
            return state.path
    raise InputError(f"{run.name}: has no state {name!r}")


def _told_state(state: SavedState) -> dict[str, Any]:
    return {
        "name": state.path.name,
        "path": str(state.path),
        "step": state.step,
        "epoch": state.epoch,
        "saved": state.saved,
    }


def _told_deleted(run: RunFolder) -> dict[str, Any]:
    job = run.job()
    return {"run": run.name, "title": job.name if job else run.name, "bytes": disk_bytes(run)}
