"""Changes of the form from elsewhere on the page: a remedy for a failure, the settings of a run.

They go into the draft, from which the page then fills its form again: `POST /form/changes`, `POST /runs/NAME/to_form`.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.config.configuration import all_options
from backend.config.options import Option
from backend.errors import OptionError, UserError
from backend.runs.again import given_configuration
from backend.runs.folder import RunFolder
from gui.form import Draft, FieldValue, form_of, to_field
from gui.run_actions import act, refused


async def change_form(request: Request) -> JSONResponse:
    """Set the options of the JSON object {name: value}, null being empty. Answers {"changed": [name, ...]}."""
    draft = Draft(request.app.state.workspace)
    try:
        fields = _fields(await request.json())
    except ValueError:
        return JSONResponse({"error": "wanted a JSON object of options"}, status_code=400)
    except UserError as error:
        return refused(request, error)
    kept = dict(zip(all_options(), draft.load(), strict=True))
    draft.save(list({**kept, **fields}.values()))
    return JSONResponse({"changed": list(fields)})


def run_to_form(request: Request) -> JSONResponse:
    """Put the settings with which the run was submitted into the form, in place of what stands there."""
    return act(request, fill_draft)


def fill_draft(run: RunFolder) -> None:
    """Make the draft the settings as they were given to this run. Raises OptionError if it has none."""
    Draft(run.workspace).save(form_of(given_configuration(run).values()))


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
