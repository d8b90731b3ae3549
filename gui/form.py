"""The form: each option as a field, made from its declaration; its values read, filled in and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import tomlkit

from backend.atomic_file import write_text
from backend.config.configuration import Configuration, all_options
from backend.config.options import Option, format_steps_or_ratio
from backend.config.schema import GROUPS
from backend.config.toml_file import read_toml
from backend.errors import OptionError
from gui.settings import read_settings
from gui.texts import Texts

FieldValue = str | bool
"""What a field holds: a checkbox a bool, every other a text, as it was typed."""


def make_field(declared: Option, texts: Texts) -> gr.components.Component:
    """The field of an option; its elem_id is the option's name."""
    value = to_field(declared, declared.default)
    shared = {
        "value": value,
        "label": texts.option_label(declared),
        "info": texts.option_help(declared),
        "elem_id": declared.name,
        "elem_classes": _classes(declared),
        "interactive": True,
    }
    if declared.kind == "flag":
        return gr.Checkbox(**shared)
    if declared.kind == "choice":
        choices = [("", ""), *declared.choices] if declared.optional else list(declared.choices)
        return gr.Dropdown(choices=choices, **shared)
    if declared.suggestions:
        return gr.Dropdown(choices=list(declared.suggestions), allow_custom_value=True, **shared)
    if declared.kind == "list":
        return gr.Textbox(lines=2, max_lines=12, placeholder=texts("form.one_a_line"), **shared)
    return gr.Textbox(lines=1, max_lines=1, **shared)


def to_field(declared: Option, value: Any) -> FieldValue:
    """A value as its field shows it; numbers as a person writes them, lists one item a line."""
    if declared.kind == "flag":
        return bool(value)
    if value is None:
        return ""
    if declared.kind == "list":
        return "\n".join(item if isinstance(item, str) else format_number(item) for item in value)
    if declared.kind == "steps_or_ratio":
        return format_steps_or_ratio(value)
    return format_number(value) if isinstance(value, float) else str(value)


def from_field(declared: Option, value: Any) -> Any:
    """What a field holds as a value for `Configuration.from_values`, which converts and checks it."""
    if declared.kind == "list":
        return [line.strip() for line in str(value or "").splitlines() if line.strip()]
    return value


def format_number(number: float) -> str:
    """The shortest text that gives the number again: 4, 0.5, 2e-4."""
    if number == int(number) and abs(number) < 1e6:
        return str(int(number))
    if 1e-3 <= abs(number) < 1e6:
        return repr(number)
    texts = (f"{number:.{digits}e}" for digits in range(17))
    mantissa, _, exponent = next((text for text in texts if float(text) == number), repr(number)).partition("e")
    return f"{mantissa}e{int(exponent)}"


def read_form(raw: Sequence[FieldValue]) -> Configuration:
    """The configuration that the fields describe, in the order of `all_options`.

    Raises OptionError with every mistake, each with the option of its field.
    """
    options = all_options().values()
    return Configuration.from_values(
        {declared.name: from_field(declared, value) for declared, value in zip(options, raw, strict=True)}
    )


def form_of(values: Mapping[str, Any]) -> list[FieldValue]:
    """What the fields show for these values, in the order of `all_options`; options not named at their default."""
    return [to_field(declared, values.get(name, declared.default)) for name, declared in all_options().items()]


class Draft:
    """What stands in the form, kept in the workspace as it was typed, so that nothing is lost with the page."""

    def __init__(self, workspace: Path) -> None:
        self.path = workspace / "draft.toml"

    def save(self, raw: Sequence[FieldValue]) -> None:
        """Keep the fields, in the order of `all_options`."""
        write_text(self.path, tomlkit.dumps(dict(zip(all_options(), raw, strict=True))))

    def load(self) -> list[FieldValue]:
        """The fields as they were left; as the settings and defaults say where nothing was kept."""
        try:
            kept = read_toml(self.path)
        except OptionError:  # none yet, or damaged from outside
            kept = self._prefilled()
        return [
            kept[name] if _fits(declared, kept.get(name)) else to_field(declared, declared.default)
            for name, declared in all_options().items()
        ]

    def fresh(self) -> dict[str, Any]:
        """The values that a new form begins with: the defaults, and what the settings prefill."""
        prefilled = self._prefilled()
        return {name: prefilled.get(name, declared.default) for name, declared in all_options().items()}

    def _prefilled(self) -> Mapping[str, Any]:
        try:
            return read_settings(self.path.parent).prefilled
        except OptionError:  # the Settings tab tells it
            return {}


def sections() -> dict[str, tuple[str, list[Option]]]:
    """The sections of the form: key, title and options."""
    return {key: (group.title(), [all_options()[name] for name in group.model_fields]) for key, group in GROUPS.items()}


def _classes(declared: Option) -> list[str]:
    """What the style sheet and the scripts tell fields apart by."""
    marks = {
        "loom-basic": declared.basic,
        "loom-path": bool(declared.path),
        "loom-wants-file": "file" in declared.path,
        "loom-wants-folder": "folder" in declared.path,
    }
    return ["loom-field", f"loom-{declared.kind}", *(mark for mark, is_set in marks.items() if is_set)]


def _fits(declared: Option, value: Any) -> bool:
    """Whether a field can hold the value; a file of another version may have other kinds and choices."""
    if declared.kind == "choice":
        return value in declared.choices or (declared.optional and value == "")
    return isinstance(value, bool if declared.kind == "flag" else str)
