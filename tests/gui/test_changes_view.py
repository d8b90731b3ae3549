"""What a preset or an import would change in the form."""

from __future__ import annotations

import gradio as gr

from backend.config.configuration import all_options
from backend.config.imported import PassedOver
from gui.changes_view import fields_with, find_changes, format_changes
from gui.form import form_of
from gui.texts import texts_of

DEFAULTS = dict(zip(all_options(), form_of({}), strict=True))


def raw(**changes) -> list:
    return list({**DEFAULTS, **changes}.values())


def test_only_what_means_something_else_is_a_change():
    values = {"learning_rate": 2e-4, "network_dim": 8, "fp8_base": False, "optimizer_args": ["a=1", "b=2"]}
    form = raw(learning_rate="0.0002", network_dim="eight", optimizer_args="a=1\n\n b=2 ")
    assert [(option.name, before, after) for option, before, after in find_changes(values, form)] == [
        ("network_dim", "eight", "8")
    ]


def test_fields_that_mean_it_already_are_left_as_they_were_typed():
    fields = dict(zip(all_options(), fields_with({"learning_rate": 2e-4, "seed": 5}, raw()), strict=True))
    assert fields.pop("seed") == "5"
    assert all(value == gr.skip() for value in fields.values())


def test_the_tables_tell_both_sides_and_what_is_passed_over_as_text():
    changes = find_changes({"exclude_patterns": ["<b>", "x"], "fp8_base": True, "dit": None}, raw(dit="/a"))
    html = format_changes("Mine", changes, [PassedOver("--odd", "<i>", "it is odd")], texts_of("en"))
    assert "Mine: 3 options differ" in html
    assert "<code>&lt;b&gt;</code><br><code>x</code>" in html
    assert "<td>off</td><td>on</td>" in html
    assert "empty" in html and "Not taken (1)" in html and "&lt;i&gt;" in html
    assert "data-option='fp8_base'" in html


def test_the_tables_speak_japanese():
    html = format_changes("X", find_changes({"network_dim": 8}, raw()), [], texts_of("ja"))
    assert "ランク" in html and "変更後" in html
