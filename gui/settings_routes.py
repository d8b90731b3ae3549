"""What the Settings tab asks for: `GET` and `POST /settings`, `GET /support.zip?run=NAME`."""

from __future__ import annotations

import json
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backend.config.configuration import all_options
from backend.errors import OptionError, UserError
from backend.runs.current import last_run
from backend.runs.folder import find_run, list_runs
from gui.accounts import logins
from gui.json_requests import refusal, tell_problems
from gui.languages import language_of
from gui.settings import PREFILLED, SETTINGS_FILE, Settings, read_settings, write_settings
from gui.support_bundle import make_bundle
from gui.texts import texts_of
from gui.versions import versions


def get_settings(request: Request) -> JSONResponse:
    """Answers {"prefilled": {option: path}, "labels": {option: label}, "allowed_roots", "file", "problems", "logins",
    "versions"}; a settings.toml that cannot be read is among the problems."""
    workspace: Path = request.app.state.workspace
    texts = texts_of(language_of(request))
    try:
        settings, problems = read_settings(workspace), []
    except UserError as error:
        settings, problems = Settings(), tell_problems(error.problems, texts)
    return JSONResponse(
        {
            "prefilled": {name: settings.prefilled.get(name, "") for name in PREFILLED},
            "labels": {name: texts.option_label(all_options()[name]) for name in PREFILLED},
            "allowed_roots": list(settings.allowed_roots),
            "file": str(workspace / SETTINGS_FILE),
            "problems": problems,
            "logins": logins(workspace),
            "versions": versions(),
        }
    )


async def post_settings(request: Request) -> Response:
    """Keep the settings of the body, as GET gives them. Answers {"problems": []}; 422 with them if nothing was kept."""
    try:
        values = json.loads(await request.body())
        if not isinstance(values, dict):
            raise ValueError("no object")
        await run_in_threadpool(_keep, request.app.state.workspace, values)
    except UserError as error:
        return refusal(error, request)
    except ValueError:
        return JSONResponse({"problems": []}, status_code=400)
    return JSONResponse({"problems": []})


def support_bundle(request: Request) -> Response:
    """The zip to ask for help with, about the run that is named, or the last that was more than a tool."""
    workspace: Path = request.app.state.workspace
    name = request.query_params.get("run", "")
    run = find_run(workspace, name) if name else last_run(list_runs(workspace))
    headers = {"Content-Disposition": 'attachment; filename="lora_loom_support.zip"', "Cache-Control": "no-store"}
    return Response(make_bundle(workspace, run), media_type="application/zip", headers=headers)


def _keep(workspace: Path, values: dict) -> None:
    settings = Settings.from_values(values)
    try:
        write_settings(workspace, settings)
    except OSError as error:
        raise OptionError(
            f"{workspace / SETTINGS_FILE}: cannot be written: {error.strerror}",
            hint="check the free space and the folder",
        ) from error
