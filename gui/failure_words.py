"""Why a run failed, as the page tells it: in its language, with the options whose change would help."""

from __future__ import annotations

from typing import Any

from backend.config.configuration import all_options
from backend.runs.failure_texts import most_exact
from backend.runs.failures import Failure
from gui.form import to_field
from gui.texts import Texts, fill


def told_failure(failure: Failure, texts: Texts) -> dict[str, Any]:
    """The failure's record, with sentence and advice in the language of the texts.

    "changes" is a list of {"option", "label", "value": as the field will show it, "given": as the backend gave it}.
    """
    record = failure.record()
    if words := texts.tree.get("failures", {}).get(failure.id):  # the English ones stand in the backend
        parameters = {name: _in_words(value, texts) for name, value in failure.parameters.items()}
        cause = most_exact([*words.get("exact", []), words["cause"]], parameters)
        record["sentence"], record["advice"] = fill(cause, parameters), fill(words["advice"], parameters)
    record["changes"] = [
        {"option": name, "label": texts.option_label(all_options()[name]), "value": _shown(name, value), "given": value}
        for name, value in failure.changes.items()
    ]
    return record


def _in_words(value: str | int, texts: Texts) -> str | int:
    """A parameter in the language of the texts: the state of a run that was needed, or a message of the backend."""
    if value in texts.tree["states"]:
        return str(texts.tree["states"][value])
    return texts.message(value) if isinstance(value, str) else value


def _shown(name: str, value: Any) -> str | bool:
    return to_field(all_options()[name], value)
