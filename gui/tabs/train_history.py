"""Undo and redo on the Train tab, and the draft, which is kept with each change."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from gui.form import Draft, FieldValue
from gui.form_history import FormHistory
from gui.kept_history import KeptHistory
from gui.texts import Texts


@dataclass(frozen=True)
class HistoryButtons:
    """The buttons, and the history of the page's session with the revision of it that the page shows."""

    undo: gr.Button
    redo: gr.Button
    history: gr.State
    revision: gr.Number

    @property
    def shown(self) -> list[gr.components.Component]:
        """What the handlers below fill."""
        return [self.history, self.revision, self.undo, self.redo]


def build_history(texts: Texts) -> HistoryButtons:
    """Build the two buttons; they can be pressed once there is something to undo.

    The revision is still to be rendered: hidden, it would take its place in a row nevertheless.
    """
    history, revision = gr.State(None), gr.Number(None, visible="hidden", render=False)
    with gr.Row(elem_id="loom-history", elem_classes="loom-buttons"):
        undo = gr.Button(texts("history.undo"), size="sm", interactive=False, elem_id="undo")
        redo = gr.Button(texts("history.redo"), size="sm", interactive=False, elem_id="redo")
    return HistoryButtons(undo, redo, history, revision)


class HistoryHandlers:
    """What keeps the history, with the draft, and goes through it.

    A page tells its form some time after a change, so it tells the revision that it shows too: what it tells of a form
    that an undo or redo has replaced meanwhile is no change, neither of the history nor of the draft.
    """

    def __init__(self, workspace: Path) -> None:
        self.kept = KeptHistory(workspace)
        self.draft = Draft(workspace)

    def restored(self, raw: Sequence[FieldValue]) -> list[Any]:
        """The history that was kept, where the page opens with this form; a form of another origin is a change."""
        kept = self.kept.load()
        return _shown(kept.edited(raw, now=time.monotonic()) if kept else FormHistory(tuple(raw)))

    def keep_change(self, history: FormHistory | None, revision: int | None, *raw: FieldValue) -> list[Any]:
        """The history with what the form holds now, kept with the draft."""
        told = _told(history, revision, raw)
        return [gr.skip()] * 4 if told is None else self._keep(told)

    def undo(self, history: FormHistory | None, revision: int | None, *raw: FieldValue) -> list[Any]:
        """The history and the form before the last change, which may not have been told yet."""
        return self._move(_told(history, revision, raw), FormHistory.undone, len(raw))

    def redo(self, history: FormHistory | None, revision: int | None, *raw: FieldValue) -> list[Any]:
        """The history and the form after the change that was undone last."""
        return self._move(_told(history, revision, raw), FormHistory.redone, len(raw))

    def _move(self, told: FormHistory | None, step: Callable[[FormHistory], FormHistory], fields: int) -> list[Any]:
        """A field is written where the step changes it: by then the page shows what was told, at least in those."""
        if told is None:
            return [gr.skip()] * (4 + fields)
        moved = step(told)
        changed = [gr.skip() if new == old else new for new, old in zip(moved.present, told.present, strict=True)]
        return [*self._keep(moved), *changed]

    def _keep(self, history: FormHistory) -> list[Any]:
        """Both before the page is answered: a reload may follow at once."""
        self.draft.save(history.present)
        self.kept.save(history)
        return _shown(history)


def _told(history: FormHistory | None, revision: int | None, raw: tuple[FieldValue, ...]) -> FormHistory | None:
    """The history with this form where the page shows the history's last step; None before the form was filled."""
    if history is None or revision != history.revision:
        return history
    return history.edited(raw, now=time.monotonic())


def _shown(history: FormHistory) -> list[Any]:
    return [
        history,
        history.revision,
        gr.Button(interactive=bool(history.past)),
        gr.Button(interactive=bool(history.future)),
    ]
