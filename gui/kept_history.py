"""Undo and redo beside the draft, so that they go on after a reload of the page and a restart of the program."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from backend.atomic_file import write_text
from backend.config.configuration import all_options
from gui.form import FieldValue
from gui.form_history import Form, FormHistory

Changes = dict[str, FieldValue]


class KeptHistory:
    """The form's history in the workspace: what the form holds, and the changes that lead back and forward.

    No option is a secret, so none is written here, as in the draft.
    """

    def __init__(self, workspace: Path) -> None:
        self.path = workspace / "draft_history.json"

    def save(self, history: FormHistory) -> None:
        record = {
            "present": dict(zip(all_options(), history.present, strict=True)),
            "past": _steps_from(history.present, history.past),
            "future": _steps_from(history.present, history.future),
        }
        write_text(self.path, json.dumps(record, ensure_ascii=False))

    def load(self) -> FormHistory | None:
        """The history as it was kept; None where there is none, or one of other options."""
        try:
            record = json.loads(self.path.read_text(encoding="utf-8"))
            present, past, future = record["present"], record["past"], record["future"]
            if list(present) != list(all_options()):
                return None
            return FormHistory(_form(present), _forms(present, past), _forms(present, future))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none yet, or damaged from outside
            return None


def _steps_from(present: Form, forms: Sequence[Form]) -> list[Changes]:
    """The changes from the present to the nearest form, from that to the next, and so on; the nearest stands last."""
    return [
        {name: new for name, old, new in zip(all_options(), near, far, strict=True) if new != old}
        for near, far in pairwise([present, *reversed(forms)])
    ]


def _forms(present: Changes, steps: Iterable[Changes]) -> tuple[Form, ...]:
    """The forms that the changes lead to, the nearest last."""
    form, forms = present, []
    for changes in steps:
        form = {**form, **changes}
        forms.append(_form(form))
    return tuple(reversed(forms))


def _form(fields: dict[str, Any]) -> Form:
    """Raises ValueError for what no field can hold, or for fields of other options."""
    values = tuple(fields.values())
    if len(values) != len(all_options()) or not all(isinstance(value, str | bool) for value in values):
        raise ValueError("no form")
    return values
