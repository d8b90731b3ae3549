"""Presets on the Train tab: choosing, loading and saving."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from backend.config.configuration import all_options
from backend.config.presets import Preset, find_preset, list_presets, read_preset, read_title, save_preset
from backend.errors import UserError
from backend.runs.demo_folder import DemoFolder
from backend.runs.demo_job import submit_demo
from backend.runs.queue import ensure_worker
from gui.demo import DEMO_PRESET
from gui.form import FieldValue, form_of, read_form
from gui.plan_view import format_problems
from gui.tabs.events import told
from gui.texts import Texts


@dataclass(frozen=True)
class PresetPanel:
    """The components of the presets."""

    chosen: gr.Dropdown
    load: gr.Button
    name: gr.Textbox
    save: gr.Button


def build_presets(workspace: Path, texts: Texts) -> PresetPanel:
    """Build the card of the presets."""
    with gr.Column(elem_id="loom-presets", elem_classes="loom-card"):
        return PresetPanel(
            chosen=gr.Dropdown(choices=preset_choices(workspace), label="Preset", elem_id="preset"),
            load=gr.Button("Load", elem_id="preset-load", size="sm"),
            name=gr.Textbox(label="Save as", placeholder="name", max_lines=1, elem_id="preset-name"),
            save=gr.Button("Save", elem_id="preset-save", size="sm"),
        )


class PresetHandlers:
    """What the buttons of the presets do."""

    def __init__(self, workspace: Path, texts: Texts) -> None:
        self.workspace = workspace
        self.texts = texts

    def load(self, name: str, *raw: FieldValue) -> list[Any]:
        """The form with the preset's options changed and no others. The first use of Demo makes its files."""
        try:
            preset = find_preset(name or "", workspace=self.workspace)
            values = read_preset(preset, workspace=self.workspace)
            title, description = read_title(preset)
        except UserError as error:
            return [format_problems(error.problems), *raw]
        loaded = dict(zip(all_options(), form_of(values), strict=True))
        kept = dict(zip(all_options(), raw, strict=True))
        text = f"Loaded {title}: {len(values)} {'option' if len(values) == 1 else 'options'}. {description}"
        if preset.shipped and preset.name == DEMO_PRESET and not DemoFolder.of(self.workspace).is_whole():
            submit_demo(self.workspace)
            ensure_worker(self.workspace)
            text += " Its models and dataset are being made now, see Monitor; you may press Start already."
        return [told(text), *({**kept, **{option: loaded[option] for option in values}}).values()]

    def save(self, name: str, *raw: FieldValue) -> list[Any]:
        """Save the form as a preset of the user's own."""
        try:
            preset = save_preset(name or "", read_form(raw).values(), workspace=self.workspace)
        except UserError as error:
            return [format_problems(error.problems), gr.skip(), gr.skip()]
        choices = gr.Dropdown(choices=preset_choices(self.workspace), value=preset.name)
        return [told(f"Saved as preset {preset.name}."), choices, ""]


def preset_choices(workspace: Path) -> list[tuple[str, str]]:
    """Title and name of each preset."""
    return [(_title(preset), preset.name) for preset in list_presets(workspace)]


def _title(preset: Preset) -> str:
    try:
        return read_title(preset)[0]
    except UserError:  # told in full when it is loaded
        return preset.name
