"""What a preset or an import would change in the form, field by field, and what of it was not understood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from backend.config.configuration import all_options, check_values
from backend.config.imported import PassedOver
from backend.config.options import Option
from backend.errors import OptionError
from gui.form import FieldValue, from_field, to_field
from gui.texts import Texts

Change = tuple[Option, FieldValue, FieldValue]
"""An option with what its field holds and what it would hold."""


def find_changes(values: Mapping[str, Any], raw: Sequence[FieldValue]) -> list[Change]:
    """The options whose field means something else than these values, in the order of the form."""
    return [
        (declared, before, to_field(declared, values[name]))
        for (name, declared), before in zip(all_options().items(), raw, strict=True)
        if name in values and not _means(declared, before, values[name])
    ]


def fields_with(values: Mapping[str, Any], raw: Sequence[FieldValue]) -> list[Any]:
    """For each field its new value, and Gradio's sign to leave it alone where it means that already."""
    changed = {declared.name: after for declared, _, after in find_changes(values, raw)}
    return [changed.get(name, gr.skip()) for name in all_options()]


def format_changes(title: str, changes: Sequence[Change], passed_over: Iterable[PassedOver], texts: Texts) -> str:
    """Both as tables; each option leads to its field."""
    heading = texts.count("changes.summary", len(changes), title=title)
    rows = "".join(
        f"<tr><th scope='row'><a href='#{declared.name}' data-option='{declared.name}'>"
        f"{escape(texts.option_label(declared))}</a></th>"
        f"<td>{_shown(before, texts)}</td><td>{_shown(after, texts)}</td></tr>"
        for declared, before, after in changes
    )
    table = _table(("option", "before", "after"), rows, texts) if changes else ""
    return f"<h2>{escape(heading)}</h2>{table}{_format_passed_over(list(passed_over), texts)}"


def _format_passed_over(passed: list[PassedOver], texts: Texts) -> str:
    """Those with the same reason in one row, as another program's file may have dozens of them."""
    if not passed:
        return ""
    by_reason: dict[str, list[PassedOver]] = {}
    for one in passed:
        by_reason.setdefault(_why(one, texts), []).append(one)
    rows = "".join(
        f"<tr><th scope='row'>{' '.join(_written(one) for one in ones)}</th><td>{escape(why)}</td></tr>"
        for why, ones in by_reason.items()
    )
    title = f"{texts('changes.passed_over')} ({len(passed)})"
    return f"<h3>{escape(title)}</h3>{_table(('option', 'why'), rows, texts)}"


def _written(one: PassedOver) -> str:
    return f"<code>{escape(f'{one.name} = {one.value}')}</code>"


def _why(one: PassedOver, texts: Texts) -> str:
    reason = texts.message(one.reason)
    return f"{reason} ({texts.message(one.hint)})" if one.hint else reason


def _table(columns: Sequence[str], rows: str, texts: Texts) -> str:
    heads = "".join(f"<th scope='col'>{escape(texts(f'changes.{name}'))}</th>" for name in columns)
    return f"<table class='loom-changes'><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _shown(value: FieldValue, texts: Texts) -> str:
    """The field's content; a checkbox in words."""
    if isinstance(value, bool):
        return escape(texts("changes.on") if value else texts("changes.off"))
    if not value.strip():
        return f"<span class='loom-muted'>{escape(texts('changes.empty'))}</span>"
    return "<br>".join(f"<code>{escape(line)}</code>" for line in value.splitlines())


def _means(declared: Option, field: FieldValue, value: Any) -> bool:
    """Whether the field, as it was typed, stands for the value: 0.0002 for 2e-4."""
    if field == to_field(declared, value):
        return True
    try:
        return check_values({declared.name: from_field(declared, field)})[declared.name] == value
    except OptionError:
        return False
