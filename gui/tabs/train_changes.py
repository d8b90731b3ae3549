"""The card above the form that shows what a preset or an import would change, before it does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.config.imported import PassedOver
from gui.changes_view import fields_with, find_changes, format_changes
from gui.form import FieldValue
from gui.problem_notes import told
from gui.texts import Texts


@dataclass(frozen=True)
class ChangesCard:
    """The components of the card. pending: the option values that Apply sets."""

    card: gr.Column
    table: gr.HTML
    apply: gr.Button
    close: gr.Button
    pending: gr.State

    @property
    def shown(self) -> list[gr.components.Component]:
        """What `ChangesHandlers.propose` fills."""
        return [self.card, self.table, self.apply, self.pending]


def build_changes(texts: Texts) -> ChangesCard:
    """Build the card; it is hidden until there is something in it."""
    pending = gr.State({})
    with gr.Column(elem_id="loom-changes", elem_classes="loom-card", visible=False) as card:
        table = gr.HTML(elem_id="changes", padding=False, apply_default_css=False)
        with gr.Row(elem_classes="loom-buttons"):
            apply = gr.Button(texts("changes.apply"), variant="primary", size="sm", elem_id="changes-apply")
            close = gr.Button(texts("changes.close"), size="sm", elem_id="changes-close")
    return ChangesCard(card, table, apply, close, pending)


class ChangesHandlers:
    """What fills the card, applies it and closes it."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts

    def propose(
        self,
        title: str,
        values: Mapping[str, Any],
        raw: Sequence[FieldValue],
        *,
        passed_over: Iterable[PassedOver] = (),
    ) -> list[Any]:
        """The card with what these values would change in the form, for `ChangesCard.shown`."""
        changes = find_changes(values, raw)
        html = format_changes(title, changes, passed_over, self.texts)
        return [gr.Column(visible=True), html, gr.Button(visible=bool(changes)), dict(values)]

    def close(self) -> Any:
        """The card, hidden."""
        return gr.Column(visible=False)

    def apply(self, pending: Mapping[str, Any], *raw: FieldValue) -> list[Any]:
        """A message, the card hidden, and the form with the pending values."""
        count = len(find_changes(pending, raw))
        message = told(self.texts.count("changes.applied", count))
        return [message, self.close(), *fields_with(pending, raw)]
