"""The form's sections in the middle of the Train tab, and the search and the list of sections at its left."""

from __future__ import annotations

import json
from html import escape

import gradio as gr

from backend.config.options import Option
from gui.form import make_field, sections
from gui.texts import Texts


def build_navigation(texts: Texts) -> None:
    """The search field and the list of sections; the script opens a section and finds options."""
    gr.HTML(_navigation(), elem_id="loom-sections-nav", padding=False)


def build_fields(texts: Texts) -> list[gr.components.Component]:
    """All fields, section by section, in the order of `all_options`."""
    fields = []
    for key, (title, options) in sections().items():
        with gr.Column(elem_id=f"section-{key}", elem_classes=["loom-section", "loom-card"]):
            gr.HTML(f"<h2>{escape(title)}</h2>", padding=False)
            with gr.Column(elem_classes="loom-fields"):
                fields += [make_field(declared) for declared in options]
    return fields


def _navigation() -> str:
    buttons = "".join(
        f"<button type='button' data-section='{key}'{_basic_class(options)}><span>{escape(title)}</span></button>"
        for key, (title, options) in sections().items()
    )
    index = json.dumps(
        [[declared.name, declared.label, key] for key, (_, options) in sections().items() for declared in options]
    )
    return (
        "<input type='search' id='option-search' placeholder='Search options' aria-label='Search options' "
        f"autocomplete='off' data-options='{escape(index)}'><div id='option-hits' hidden></div>"
        f"<nav aria-label='Sections'>{buttons}</nav>"
        "<div id='loom-option-level' role='group' aria-label='Options shown'>"
        "<button type='button' data-options='basic'>Basic</button><button type='button' data-options='all'>All</button>"
        "</div>"
    )


def _basic_class(options: list[Option]) -> str:
    """The mark of a section that has options which most people change."""
    return " class='loom-basic'" if any(declared.basic for declared in options) else ""
