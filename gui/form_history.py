"""What the form held before, so that changes can be undone and made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gui.form import FieldValue

Form = tuple[FieldValue, ...]

MOST_CHANGES = 100
TYPING_S = 2.0
"""Changes of the same field that follow each other faster than this are one: a word, not its letters."""


@dataclass(frozen=True)
class FormHistory:
    """present: what the form holds. past, future: what undo and redo bring, the nearest last.

    typed: the place of the field that the last change was made in, if it was one; changed_at: when, in seconds.
    """

    present: Form
    past: tuple[Form, ...] = ()
    future: tuple[Form, ...] = ()
    typed: int | None = None
    changed_at: float = 0.0

    def edited(self, raw: Sequence[FieldValue], *, now: float) -> FormHistory:
        """The history after the form was changed to these values; what was undone before cannot be made again.

        A form that is the one before, or the one that was undone last, is that step: so it is where the page reports a
        change late, after an undo.
        """
        form = tuple(raw)
        if form in self.past[-1:]:
            return self.undone()
        if form in self.future[-1:]:
            return self.redone()
        places = [place for place, value in enumerate(form) if value != self.present[place]]
        if not places:
            return self
        typed = places[0] if len(places) == 1 else None
        goes_on = typed is not None and typed == self.typed and now - self.changed_at < TYPING_S
        past = self.past if goes_on else (*self.past, self.present)[-MOST_CHANGES:]
        return FormHistory(form, past, (), typed, now)

    def undone(self) -> FormHistory:
        """One change back; the same history where there is none."""
        if not self.past:
            return self
        return replace(
            self, present=self.past[-1], past=self.past[:-1], future=(*self.future, self.present), typed=None
        )

    def redone(self) -> FormHistory:
        """One change forward again."""
        if not self.future:
            return self
        return replace(
            self, present=self.future[-1], past=(*self.past, self.present), future=self.future[:-1], typed=None
        )
