"""Why a run failed, as the page tells it: in its language, with the options whose change would help."""

from __future__ import annotations

from typing import Any

from backend.config.configuration import all_options
from backend.runs.failures import Failure
from gui.form import to_field
from gui.texts import Texts, fill


def told_failure(failure: Failure, texts: Texts) -> dict[str, Any]:
    """The failure's record, with sentence and advice in the language of the texts.

    "changes" is a list of {"option", "label", "value": as the field will show it, "given": as the backend gave it}.
    """
    record = failure.record()
    if words := texts.tree.get("failures", {}).get(failure.id):  # the English ones stand in the backend
        states = texts.tree["states"]  # of a run that this one needed
        parameters = {name: states.get(value, value) for name, value in failure.parameters.items()}
        record["sentence"], record["advice"] = fill(words["cause"], parameters), fill(words["advice"], parameters)
    record["changes"] = [
        {"option": name, "label": all_options()[name].label, "value": _shown(name, value), "given": value}
        for name, value in failure.changes.items()
    ]
    return record


def _shown(name: str, value: Any) -> str | bool:
    return to_field(all_options()[name], value)
