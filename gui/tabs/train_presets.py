"""Presets on the Train tab: choosing, loading, comparing, saving, renaming and deleting."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from backend.config.presets import (
    Preset,
    delete_preset,
    find_preset,
    list_presets,
    read_preset,
    read_title,
    rename_preset,
    restore_preset,
    save_preset,
)
from backend.errors import OptionError, UserError
from backend.runs.demo_folder import DemoFolder
from backend.runs.demo_job import submit_demo
from backend.runs.queue import ensure_worker
from gui.changes_view import fields_with, find_changes
from gui.demo import DEMO_PRESET
from gui.form import FieldValue, read_form
from gui.loaded_preset import LoadedPreset
from gui.problem_notes import format_problems, told
from gui.tabs.train_changes import ChangesHandlers, Pending
from gui.texts import Texts


@dataclass(frozen=True)
class PresetChoice:
    """The components that choose a preset."""

    chosen: gr.Dropdown
    load: gr.Button
    compare: gr.Button


@dataclass(frozen=True)
class PresetKeeping:
    """What the chosen preset says of itself, what its buttons did, and the components for the user's own.

    deleted: the name of the one that was deleted last on this page.
    """

    about: gr.HTML
    message: gr.HTML
    name: gr.Textbox
    save: gr.Button
    new_name: gr.Textbox
    rename: gr.Button
    delete: gr.Button
    restore: gr.Button
    deleted: gr.State


def build_preset_choice(workspace: Path, texts: Texts) -> PresetChoice:
    """Build the list of presets with what can be done with the chosen one."""
    with gr.Column(elem_id="loom-preset-choice", min_width=150):
        chosen = gr.Dropdown(
            choices=preset_choices(workspace, texts), value=DEMO_PRESET, label=texts("presets.choose"), elem_id="preset"
        )
    load = gr.Button(texts("presets.load"), elem_id="preset-load", size="sm")
    compare = gr.Button(texts("presets.compare"), elem_id="preset-compare", size="sm")
    return PresetChoice(chosen, load, compare)


def build_preset_keeping(texts: Texts) -> PresetKeeping:
    """Build what tells about a preset, and, folded away, what saves, renames and deletes."""
    deleted = gr.State("")
    about = gr.HTML(elem_id="preset-about", padding=False, apply_default_css=False)
    message = gr.HTML(elem_id="preset-message", padding=False, apply_default_css=False)
    with gr.Accordion(texts("presets.manage"), open=False, elem_id="preset-manage"):
        with gr.Row(elem_classes="loom-buttons"):
            name = gr.Textbox(
                label=texts("presets.save_as"), placeholder=texts("presets.name"), max_lines=1, elem_id="preset-name"
            )
            save = gr.Button(texts("presets.save"), elem_id="preset-save", size="sm")
        with gr.Row(elem_classes="loom-buttons"):
            new_name = gr.Textbox(label=texts("presets.rename_to"), max_lines=1, elem_id="preset-new-name")
            rename = gr.Button(texts("presets.rename"), elem_id="preset-rename", size="sm")
            delete = gr.Button(texts("presets.delete"), elem_id="preset-delete", size="sm")
    restore = gr.Button(texts("presets.restore"), elem_id="preset-restore", size="sm", visible=False)
    return PresetKeeping(about, message, name, save, new_name, rename, delete, restore, deleted)


class PresetHandlers:
    """What the buttons of the presets do."""

    def __init__(self, workspace: Path, changes: ChangesHandlers, texts: Texts) -> None:
        self.workspace = workspace
        self.changes = changes
        self.texts = texts

    def chosen_first(self) -> str:
        """The preset that a page opens with: the loaded one while it is there, Demo before."""
        loaded = LoadedPreset(self.workspace).name()
        names = {preset.name for preset in list_presets(self.workspace)}
        return loaded if loaded in names else DEMO_PRESET

    def describe(self, name: str | None) -> str:
        """What the chosen preset says of itself, as HTML."""
        try:
            _, description = read_title(self._find(name), language=self.texts.language)
        except UserError:  # told in full when it is loaded
            return ""
        return f"<p class='loom-muted'>{escape(description)}</p>" if description else ""

    def load(self, name: str | None, *raw: FieldValue) -> list[Any]:
        """A message, the card of changes hidden, and the form with the preset's options changed and no others.

        The first use of Demo makes its files.
        """
        try:
            preset = self._find(name)
            values = read_preset(preset, workspace=self.workspace)
            title, description = read_title(preset, language=self.texts.language)
        except UserError as error:
            return [format_problems(error.problems, self.texts), gr.skip(), *[gr.skip()] * len(raw)]
        text = self.texts.count("presets.loaded", len(values), title=title, description=description)
        if others := self.changes.count_others(values, raw):
            text += f" {self.texts.count('presets.others_stay', others)}"
        if preset.shipped and preset.name == DEMO_PRESET and not DemoFolder.of(self.workspace).is_whole():
            submit_demo(self.workspace)
            ensure_worker(self.workspace)
            text += f" {self.texts('plan.demo_made')}"
        return [told(text), gr.Column(visible=False), *fields_with(values, raw)]

    def compare(self, name: str | None, *raw: FieldValue) -> list[Any]:
        """A message, and the card of changes with what the preset has and the form has not."""
        try:
            preset = self._find(name)
            values = read_preset(preset, workspace=self.workspace)
            title, _ = read_title(preset, language=self.texts.language)
        except UserError as error:
            return [format_problems(error.problems, self.texts), *self.changes.leave()]
        message = "" if find_changes(values, raw) else told(self.texts("presets.same", title=title))
        if message and not self.changes.count_others(values, raw):
            return [message, *self.changes.close()]
        return [message, *self.changes.propose(Pending(title, values), raw)]

    def save(self, name: str, *raw: FieldValue) -> list[Any]:
        """Save the form as a preset of the user's own."""
        try:
            preset = save_preset(name or "", read_form(raw).values(), workspace=self.workspace)
        except UserError as error:
            return [format_problems(error.problems, self.texts), gr.skip(), gr.skip()]
        return [told(self.texts("presets.saved", preset=preset.name)), self._choices(preset.name), ""]

    def rename(self, name: str | None, new_name: str) -> list[Any]:
        """Give the chosen preset another name."""
        try:
            preset = rename_preset(name or "", new_name or "", workspace=self.workspace)
            LoadedPreset(self.workspace).follow(name or "", preset.name)
        except UserError as error:
            return [format_problems(error.problems, self.texts), gr.skip(), gr.skip()]
        return [told(self.texts("presets.renamed", preset=preset.name)), self._choices(preset.name), ""]

    def delete(self, name: str | None) -> list[Any]:
        """Delete the chosen preset, and offer to undo that."""
        try:
            delete_preset(name or "", workspace=self.workspace)
        except UserError as error:
            return [format_problems(error.problems, self.texts), gr.skip(), gr.skip(), gr.skip()]
        return [told(self.texts("presets.deleted", preset=name)), self._choices(None), gr.Button(visible=True), name]

    def restore(self, deleted: str) -> list[Any]:
        """Bring the preset back that was deleted last."""
        try:
            preset = restore_preset(deleted, workspace=self.workspace)
        except UserError as error:
            return [format_problems(error.problems, self.texts), gr.skip(), gr.skip()]
        message = told(self.texts("presets.restored", preset=preset.name))
        return [message, self._choices(preset.name), gr.Button(visible=False)]

    def _find(self, name: str | None) -> Preset:
        if not name:
            raise OptionError("no preset is chosen", hint="choose one from the list")
        return find_preset(name, workspace=self.workspace)

    def _choices(self, chosen: str | None) -> gr.Dropdown:
        return gr.Dropdown(choices=preset_choices(self.workspace, self.texts), value=chosen)


def preset_choices(workspace: Path, texts: Texts) -> list[tuple[str, str]]:
    """Title and name of each preset."""
    return [(_title(preset, texts), preset.name) for preset in list_presets(workspace)]


def _title(preset: Preset, texts: Texts) -> str:
    try:
        return read_title(preset, language=texts.language)[0]
    except UserError:  # told in full when it is loaded
        return preset.name
