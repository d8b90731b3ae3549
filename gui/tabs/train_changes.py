"""The card above the form that shows what a preset or an import would change, before it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from backend.config.imported import PassedOver
from gui.changes_view import fields_with, find_changes, format_changes
from gui.form import Draft, FieldValue
from gui.problem_notes import told
from gui.texts import Texts


@dataclass(frozen=True)
class ChangesCard:
    """The components of the card.

    others: whether all other options are set to their defaults too. pending: what the card is about.
    """

    card: gr.Column
    table: gr.HTML
    others: gr.Checkbox
    apply: gr.Button
    close: gr.Button
    pending: gr.State

    @property
    def shown(self) -> list[gr.components.Component]:
        """What `ChangesHandlers.propose` fills."""
        return [self.card, self.table, self.others, self.apply, self.pending]


@dataclass(frozen=True)
class Pending:
    """What a preset or an import has: its option values, and what was not understood of it."""

    title: str
    values: Mapping[str, Any]
    passed_over: tuple[PassedOver, ...] = ()


def build_changes(texts: Texts) -> ChangesCard:
    """Build the card; it is hidden until there is something in it."""
    pending = gr.State(Pending("", {}))
    with gr.Column(elem_id="loom-changes", elem_classes="loom-card", visible=False) as card:
        table = gr.HTML(elem_id="changes", padding=False, apply_default_css=False)
        others = gr.Checkbox(label=texts("changes.others.other"), elem_id="changes-others")
        with gr.Row(elem_classes="loom-buttons"):
            apply = gr.Button(texts("changes.apply"), variant="primary", size="sm", elem_id="changes-apply")
            close = gr.Button(texts("changes.close"), size="sm", elem_id="changes-close")
    return ChangesCard(card, table, others, apply, close, pending)


class ChangesHandlers:
    """What fills the card, applies it and closes it."""

    def __init__(self, workspace: Path, texts: Texts) -> None:
        self.workspace = workspace
        self.texts = texts

    def propose(self, pending: Pending, raw: Sequence[FieldValue]) -> list[Any]:
        """The card with what these values would change in the form, for `ChangesCard.shown`."""
        count = self.count_others(pending.values, raw)
        others = gr.Checkbox(value=False, label=self.texts.count("changes.others", count), visible=count > 0)
        table, apply = self.show(False, pending, *raw)
        return [gr.Column(visible=True), table, others, apply, pending]

    def show(self, with_others: bool, pending: Pending, *raw: FieldValue) -> list[Any]:
        """The table, and the button that applies what stands in it."""
        changes = find_changes(self._meant(with_others, pending), raw)
        html = format_changes(pending.title, changes, pending.passed_over, self.texts)
        return [html, gr.Button(visible=bool(changes))]

    def leave(self) -> list[Any]:
        """The card as it is, for `ChangesCard.shown`."""
        return [gr.skip()] * 5

    def close(self) -> list[Any]:
        """The card, hidden, for `ChangesCard.shown`."""
        return [gr.Column(visible=False), *[gr.skip()] * 4]

    def apply(self, with_others: bool, pending: Pending, *raw: FieldValue) -> list[Any]:
        """A message, the card hidden, and the form with the pending values."""
        values = self._meant(with_others, pending)
        message = told(self.texts.count("changes.applied", len(find_changes(values, raw))))
        return [message, gr.Column(visible=False), *fields_with(values, raw)]

    def count_others(self, values: Mapping[str, Any], raw: Sequence[FieldValue]) -> int:
        """How many fields of other options hold something else than a new form."""
        others = {name: value for name, value in Draft(self.workspace).fresh().items() if name not in values}
        return len(find_changes(others, raw))

    def _meant(self, with_others: bool, pending: Pending) -> Mapping[str, Any]:
        return {**Draft(self.workspace).fresh(), **pending.values} if with_others else pending.values
