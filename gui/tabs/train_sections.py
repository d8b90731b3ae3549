"""The form's sections in the middle of the Train tab, and the search and the list of sections at its left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape

import gradio as gr

from backend.config.configuration import all_options
from backend.config.options import Option
from backend.plan.selection import EXCLUDE_OPTION, INCLUDE_OPTION
from gui.form import make_field, sections
from gui.texts import Texts


def build_navigation(texts: Texts) -> None:
    """The search field and the list of sections; the script opens a section and finds options."""
    gr.HTML(_navigation(texts), elem_id="loom-sections-nav", padding=False, apply_default_css=False)


def build_fields(texts: Texts) -> list[gr.components.Component]:
    """All fields, section by section, in the order of `all_options`."""
    fields: dict[str, gr.components.Component] = {}
    for key, (title, options) in sections().items():
        with gr.Column(elem_id=f"section-{key}", elem_classes="loom-section"):
            if key == "network":
                _network_cards(texts.section(key, title), options, fields, texts)
            else:
                _card(texts.section(key, title), options, fields, texts)
    return [fields[name] for name in all_options()]


def _card(title: str, options: Iterable[Option], fields: dict[str, gr.components.Component], texts: Texts) -> None:
    """A heading and the fields of these options, which are added to `fields`."""
    with gr.Column(elem_classes="loom-card"):
        gr.HTML(f"<h2>{escape(title)}</h2>", padding=False)
        with gr.Column(elem_classes="loom-fields"):
            fields |= {declared.name: make_field(declared, texts) for declared in options}


def _network_cards(
    title: str, options: Iterable[Option], fields: dict[str, gr.components.Component], texts: Texts
) -> None:
    """The network's numbers; the pattern lists with the map of modules below them; the rest."""
    before, patterns, after = _around(options, (EXCLUDE_OPTION, INCLUDE_OPTION))
    _card(title, before, fields, texts)
    with gr.Column(elem_classes="loom-card", elem_id="loom-modules"):
        gr.HTML(f"<h2>{escape(texts('network.modules'))}</h2>", padding=False)
        gr.HTML("<div id='loom-selections'></div>", padding=False, apply_default_css=False)
        with gr.Column(elem_classes="loom-fields"):
            fields |= {declared.name: make_field(declared, texts) for declared in patterns}
        gr.HTML("<div id='loom-module-map'></div>", padding=False, apply_default_css=False)
    _card(texts("network.start_weights"), after, fields, texts)


def _around(options: Iterable[Option], names: Sequence[str]) -> tuple[list[Option], list[Option], list[Option]]:
    """The options before those of these names, which stand together, they, and those after."""
    ordered = list(options)
    first = next(index for index, declared in enumerate(ordered) if declared.name in names)
    last = first + len(names)
    return ordered[:first], ordered[first:last], ordered[last:]


def _navigation(texts: Texts) -> str:
    buttons = "".join(
        f"<button type='button' data-section='{key}'{_basic_class(options)}>"
        f"<span>{escape(texts.section(key, title))}</span></button>"
        for key, (title, options) in sections().items()
    )
    choices = "".join(
        f"<option value='{key}'>{escape(texts.section(key, title))}</option>" for key, (title, _) in sections().items()
    )
    facts = json.dumps([_facts(declared, key) for key, (_, options) in sections().items() for declared in options])
    search, all_sections, section, shown = (
        escape(texts(f"train.navigation.{name}")) for name in ("search", "sections", "section", "shown")
    )
    basic, everything = (escape(texts(f"train.navigation.{name}")) for name in ("basic", "all"))
    return (
        f"<input type='search' id='option-search' placeholder='{search}' aria-label='{search}' "
        f"autocomplete='off'><div id='option-hits' hidden></div><div id='loom-facts' data-facts='{escape(facts)}' "
        f"hidden></div><nav aria-label='{all_sections}'>{buttons}</nav>"
        f"<label id='loom-section-choice'>{section}<select id='section-choice'>{choices}</select></label>"
        "<p id='loom-differing' class='loom-muted' role='status'></p>"
        f"<div id='loom-option-level' role='group' aria-label='{shown}'>"
        f"<button type='button' data-options='basic'>{basic}</button>"
        f"<button type='button' data-options='all'>{everything}</button></div>"
    )


def _facts(declared: Option, section: str) -> dict[str, object]:
    """What the page's scripts know of an option; in English, which is searched beside the page's own language.

    list: the one of musubi-tuner's lists that the option stands in, which its users look for.
    """
    return {
        "name": declared.name,
        "section": section,
        "label": declared.label,
        "help": declared.help,
        "list": "network_args" if declared.network_arg else "",
        "needs": [asdict(need) for need in declared.needs],
    }


def _basic_class(options: list[Option]) -> str:
    """The mark of a section that has options which most people change."""
    return " class='loom-basic'" if any(declared.basic for declared in options) else ""
