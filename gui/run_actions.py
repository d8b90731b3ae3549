"""What a person asks of a run through the page: `POST /runs/NAME/stop`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.runs.folder import find_run
from backend.runs.queue import ensure_worker


def stop_run(request: Request) -> JSONResponse:
    """Ask a run to save and leave, or take it out of the queue; a run that is over is left as it is.

    Answers {"run": folder name, "state": its state when asked, "requested": whether it was asked}; 404 for no run.
    A worker is made sure of: it terminates a run that does not leave, and records the end of one that waits.
    """
    workspace = request.app.state.workspace
    name = request.path_params["name"]
    run = find_run(workspace, name)
    if run is None:
        return JSONResponse({"error": f"There is no run {name!r}."}, status_code=404)
    state = run.state()
    if not state.is_over:
        run.request("stop")
        ensure_worker(workspace)
    return JSONResponse({"run": run.name, "state": state.value, "requested": not state.is_over})
