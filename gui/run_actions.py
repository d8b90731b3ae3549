"""What a person asks of a run through the page: `POST /runs/NAME/stop`, `/runs/NAME/ask/save`, `/runs/NAME/hold`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.errors import UserError
from backend.runs import actions, order
from backend.runs.folder import RunFolder, find_run
from backend.runs.queue import ensure_worker
from gui.languages import language_of
from gui.run_feed import PASSING_REQUESTS
from gui.texts import texts_of

Action = Callable[[RunFolder], None]


def stop_run(request: Request) -> JSONResponse:
    """Ask a run to save and leave, or take it out of the queue; a run that is over is left as it is.

    Answers {"run": folder name, "state": its state when asked, "requested": whether it was asked}; 404 for no run.
    A worker is made sure of: it terminates a run that does not leave, and records the end of one that waits.
    """
    run = find_run(request.app.state.workspace, request.path_params["name"])
    if run is None:
        return no_run(request)
    state = actions.stop(run)
    return JSONResponse({"run": run.name, "state": state.value, "requested": not state.is_over})


def ask_run(request: Request) -> JSONResponse:
    """Ask a training to save or sample now, or to stop after this epoch."""
    what = request.path_params["what"]
    if what not in PASSING_REQUESTS:
        return JSONResponse({"error": f"A run cannot be asked for {what!r}."}, status_code=404)
    return act(request, lambda run: actions.ask(run, what))


def cancel_run(request: Request) -> JSONResponse:
    """Take a waiting run out of the queue."""
    return act(request, actions.cancel)


def hold_run(request: Request) -> JSONResponse:
    """Let the worker pass a waiting run over."""
    return act(request, order.hold)


def release_run(request: Request) -> JSONResponse:
    """Let a held run take its turn, and see that there is a worker to take it."""
    return act(request, _release)


def move_run(request: Request) -> JSONResponse:
    """Put a waiting run at the place `?to=` of the queue, 0 being next."""
    to = request.query_params.get("to", "")
    if not to.isdecimal():
        return JSONResponse({"error": f"to={to}: wanted a place in the queue, from 0."}, status_code=400)
    return act(request, lambda run: order.move(run, int(to)))


def act(request: Request, action: Action) -> JSONResponse:
    """Do it to the run that the path names. Answers {"run": folder name}; 404 for no run, 409 with why it cannot be."""
    run = find_run(request.app.state.workspace, request.path_params["name"])
    if run is None:
        return no_run(request)
    try:
        action(run)
    except UserError as error:
        return refused(request, error)
    return JSONResponse({"run": run.name})


def refused(request: Request, error: UserError) -> JSONResponse:
    """The answer that says in the page's language why something cannot be done: {"error": a line for each problem}."""
    texts = texts_of(language_of(request))
    told = [replace(p, message=texts.message(p.message), hint=texts.message(p.hint)) for p in error.problems]
    return JSONResponse({"error": "\n".join(map(str, told))}, status_code=409)


def no_run(request: Request) -> JSONResponse:
    """The answer where the path names no run."""
    return JSONResponse({"error": f"There is no run {request.path_params['name']!r}."}, status_code=404)


def _release(run: RunFolder) -> None:
    order.release(run)
    ensure_worker(run.workspace)
