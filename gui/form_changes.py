"""Changes of the form from elsewhere on the page: a remedy for a failure, the settings of a run.

The server says what the fields are to hold, and the page writes it into its form, in which something may just have been
typed: `POST /form/fields`, `GET /runs/NAME/fields`.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.config.configuration import all_options
from backend.config.options import Option
from backend.errors import OptionError, UserError
from backend.runs.again import given_configuration
from backend.runs.folder import find_run
from gui.form import FieldValue, form_of, to_field
from gui.run_actions import no_run, refused


async def change_fields(request: Request) -> JSONResponse:
    """Answers {"fields": {name: field}} for the options of the JSON object {name: value}, null being empty."""
    try:
        return JSONResponse({"fields": _fields(await request.json())})
    except ValueError:
        return JSONResponse({"error": "wanted a JSON object of options"}, status_code=400)
    except UserError as error:
        return refused(request, error)


def run_fields(request: Request) -> JSONResponse:
    """Answers {"fields": {name: field}} for the settings with which the run was submitted, all of them."""
    run = find_run(request.app.state.workspace, request.path_params["name"])
    if run is None:
        return no_run(request)
    try:
        values = given_configuration(run).values()
    except UserError as error:
        return refused(request, error)
    return JSONResponse({"fields": dict(zip(all_options(), form_of(values), strict=True))})


def _fields(changes: Any) -> dict[str, FieldValue]:
    """What the fields of these options will hold. Raises ValueError for no object, OptionError for a wrong option."""
    if not isinstance(changes, dict):
        raise ValueError("no JSON object")
    if unknown := [name for name in changes if name not in all_options()]:
        raise OptionError(f"{unknown[0]}: no such option")
    return {name: _field(all_options()[name], value) for name, value in changes.items()}


def _field(declared: Option, value: Any) -> FieldValue:
    """As `to_field`, of a value that may have any type."""
    if declared.kind == "list" and not isinstance(value, list | None):
        raise OptionError(f"{declared.name}: wanted a list", option=declared.name)
    return to_field(declared, value)
