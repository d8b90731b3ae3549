"""What the form held before, so that changes can be undone and made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gui.form import FieldValue

Form = tuple[FieldValue, ...]

MOST_CHANGES = 100
TYPING_S = 2.0
"""Changes of the same field that follow each other faster than this are one: a word, not its letters."""


@dataclass(frozen=True)
class FormHistory:
    """present: what the form holds. past, future: what undo and redo bring, the nearest last.

    typed: the place of the field that the last change was made in, if it was one; changed_at: when, in seconds.
    revision: how many steps back and forward were made, by which a page tells that it shows the last of them.
    """

    present: Form
    past: tuple[Form, ...] = ()
    future: tuple[Form, ...] = ()
    typed: int | None = None
    changed_at: float = 0.0
    revision: int = 0

    def edited(self, raw: Sequence[FieldValue], *, now: float) -> FormHistory:
        """The history after the form was changed to these values; what was undone before cannot be made again."""
        form = tuple(raw)
        places = [place for place, value in enumerate(form) if value != self.present[place]]
        if not places:
            return self
        typed = places[0] if len(places) == 1 else None
        goes_on = typed is not None and typed == self.typed and now - self.changed_at < TYPING_S
        past = self.past if goes_on else (*self.past, self.present)[-MOST_CHANGES:]
        return FormHistory(form, past, (), typed, now, self.revision)

    def undone(self) -> FormHistory:
        """One change back; the same history where there is none."""
        if not self.past:
            return self
        return self._moved(present=self.past[-1], past=self.past[:-1], future=(*self.future, self.present))

    def redone(self) -> FormHistory:
        """One change forward again."""
        if not self.future:
            return self
        return self._moved(present=self.future[-1], past=(*self.past, self.present), future=self.future[:-1])

    def _moved(self, **step: Any) -> FormHistory:
        return replace(self, **step, typed=None, revision=self.revision + 1)
