"""Undo and redo on the Train tab."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from gui.form import FieldValue
from gui.form_history import FormHistory
from gui.kept_history import KeptHistory
from gui.texts import Texts


@dataclass(frozen=True)
class HistoryButtons:
    """The buttons, and the history of the page's session."""

    undo: gr.Button
    redo: gr.Button
    history: gr.State

    @property
    def shown(self) -> list[gr.components.Component]:
        """What the handlers below fill."""
        return [self.history, self.undo, self.redo]


def build_history(texts: Texts) -> HistoryButtons:
    """Build the two buttons; they can be pressed once there is something to undo."""
    history = gr.State(None)
    with gr.Row(elem_id="loom-history", elem_classes="loom-buttons"):
        undo = gr.Button(texts("history.undo"), size="sm", interactive=False, elem_id="undo")
        redo = gr.Button(texts("history.redo"), size="sm", interactive=False, elem_id="redo")
    return HistoryButtons(undo, redo, history)


class HistoryHandlers:
    """What keeps the history and goes through it."""

    def __init__(self, workspace: Path) -> None:
        self.kept = KeptHistory(workspace)

    def restored(self, raw: Sequence[FieldValue]) -> list[Any]:
        """The history that was kept, where the page opens with this form; a form of another origin is a change."""
        kept = self.kept.load()
        return _shown(kept.edited(raw, now=time.monotonic()) if kept else FormHistory(tuple(raw)))

    def keep_change(self, history: FormHistory | None, *raw: FieldValue) -> list[Any]:
        """The history with what the form holds now; it begins with the first form it is told."""
        return self._keep(history.edited(raw, now=time.monotonic()) if history else FormHistory(tuple(raw)))

    def undo(self, history: FormHistory | None, *raw: FieldValue) -> list[Any]:
        """The history and the form before the last change."""
        return self._moved(history, history.undone() if history else None, raw)

    def redo(self, history: FormHistory | None, *raw: FieldValue) -> list[Any]:
        """The history and the form after the change that was undone last."""
        return self._moved(history, history.redone() if history else None, raw)

    def _moved(self, history: FormHistory | None, moved: FormHistory | None, raw: tuple[FieldValue, ...]) -> list[Any]:
        if history is None or moved is None:
            return [gr.skip()] * (3 + len(raw))
        fields = [gr.skip() if new == old else new for new, old in zip(moved.present, raw, strict=True)]
        return [*self._keep(moved), *fields]

    def _keep(self, history: FormHistory) -> list[Any]:
        self.kept.save(history)
        return _shown(history)


def _shown(history: FormHistory) -> list[Any]:
    return [history, gr.Button(interactive=bool(history.past)), gr.Button(interactive=bool(history.future))]
