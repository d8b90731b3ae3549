"""`POST /dataset/cache {path}`: what is missing or stale of a dataset, cached by runs like any other."""

from __future__ import annotations

from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backend.runs.caching_job import submit_caching
from backend.runs.queue import ensure_worker
from gui.dataset_document import allowed_path
from gui.form import Draft, read_form
from gui.json_requests import answering, body_of


@answering
async def start_caching(request: Request) -> Response:
    """Queue both caching runs with the models and settings of the form. Answers {"runs": [folder names]}; 422 with what
    the form lacks."""
    path = allowed_path(request, (await body_of(request, path=str))["path"])
    return JSONResponse({"runs": await run_in_threadpool(_submit, request.app.state.workspace, path)})


def _submit(workspace: Path, dataset_file: Path) -> list[str]:
    configuration = read_form(Draft(workspace).load()).changed(dataset_config=str(dataset_file))
    runs = submit_caching(configuration, workspace=workspace)
    ensure_worker(workspace)
    return [run.name for run in runs]
