"""The log of a run from any place, `GET /runs/NAME/log?from=LINE&count=500`, and searched, `/runs/NAME/log/search`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.runs.folder import find_run
from gui.log_index import Found, LogIndex
from gui.run_actions import no_run

MOST_LINES = 2000
MOST_MATCHES = 500


def log_page(request: Request) -> JSONResponse:
    """Answers {"first": number of the first line, from 0, "lines": [...], "total"}; 400 for what are no numbers."""
    run = find_run(request.app.state.workspace, request.path_params["name"])
    if run is None:
        return no_run(request)
    first, count = request.query_params.get("from", "0"), request.query_params.get("count", "500")
    if not (first.isdecimal() and count.isdecimal() and len(first) < 16 and len(count) < 16):
        return JSONResponse({"error": "from and count: wanted numbers of lines"}, status_code=400)
    index = _index_of(run.log_file)
    try:
        lines = index.page(int(first), min(int(count), MOST_LINES))
        return JSONResponse({"first": int(first), "lines": lines, "total": index.count()})
    except OSError:  # it has written nothing yet
        return JSONResponse({"first": 0, "lines": [], "total": 0})


def search_log(request: Request) -> JSONResponse:
    """Answers {"matches": [[number, line], ...], "found": lines that have ?text=, "total": lines}."""
    run = find_run(request.app.state.workspace, request.path_params["name"])
    if run is None:
        return no_run(request)
    index = _index_of(run.log_file)
    text = request.query_params.get("text", "")
    try:
        found = index.search(text, limit=MOST_MATCHES) if text else Found(0, [])
        return JSONResponse({"matches": found.matches, "found": found.total, "total": index.count()})
    except OSError:  # it has written nothing yet
        return JSONResponse({"matches": [], "found": 0, "total": 0})


@lru_cache(maxsize=16)
def _index_of(path: Path) -> LogIndex:
    return LogIndex(path)
