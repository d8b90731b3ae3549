"""The Train tab, put together: sections of options, presets, the plan beside them, and Start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from backend.config.configuration import all_options
from gui.form import Draft, form_of
from gui.loaded_preset import LoadedPreset
from gui.tabs.events import EVENT_OPTIONS
from gui.tabs.train_changes import ChangesCard, ChangesHandlers, build_changes
from gui.tabs.train_history import HistoryButtons, HistoryHandlers, build_history
from gui.tabs.train_import import ImportCard, ImportHandlers, build_import, build_import_button
from gui.tabs.train_plan import SHOW_IN_TURN, PlanHandlers, PlanSide, Shown, build_plan_bar, build_plan_side
from gui.tabs.train_presets import (
    PresetChoice,
    PresetHandlers,
    PresetKeeping,
    build_preset_choice,
    build_preset_keeping,
    preset_choices,
)
from gui.tabs.train_sections import build_fields, build_navigation
from gui.tabs.train_start import StartHandlers
from gui.texts import Texts

PRESET_LOADED = "() => { document.dispatchEvent(new CustomEvent('loom-preset')); return []; }"
FORM_CHANGED = "() => { document.dispatchEvent(new CustomEvent('loom-form')); return []; }"
SHOW_CHANGES = """() => {
  requestAnimationFrame(() => document.getElementById("loom-changes")?.scrollIntoView({ block: "nearest" }));
  return [];
}"""
WRITE_FORM = """(...values) => {
  const form = { values };
  document.dispatchEvent(new CustomEvent("loom-form-write", { detail: form }));
  return form.values;
}"""
"""How the page's scripts are told of changes and write into the form, without the server: gui/assets/form_values.js."""


DOWNLOAD = """(text, name) => {
  document.dispatchEvent(new CustomEvent("loom-download", { detail: { text, name: `${name}.toml` } }));
  return [];
}"""
"""How a text becomes a file of the browser: gui/assets/plan_texts.js."""

Fields = list[gr.components.Component]


@dataclass(frozen=True)
class TrainTab:
    """What is to be done when a page is opened: fill the form, then show the plan, which may take longer.

    fields: what `show` takes, the form's fields and what is chosen beside the plan.
    """

    fill: Callable[[], list[Any]]
    filled: Fields
    show: Callable[..., Shown]
    fields: Fields
    shown: Fields


def build_train(workspace: Path, tabs: gr.Tabs, texts: Texts) -> TrainTab:
    """Build the tab inside the current gr.Tab. tabs: where Start switches to Monitor."""
    with gr.Row(elem_id="loom-train"):
        with gr.Column(scale=2, min_width=200, elem_id="loom-side"):
            build_navigation(texts)
        with gr.Column(scale=7, min_width=320, elem_id="loom-sections"):
            with gr.Column(elem_id="loom-presets", elem_classes="loom-card"):
                with gr.Row(elem_classes="loom-buttons"):
                    choice = build_preset_choice(workspace, texts)
                    import_button = build_import_button(texts)
                    history = build_history(texts)
                keeping = build_preset_keeping(texts)
            importing = build_import(import_button, texts)
            changes = build_changes(texts)
            fields = build_fields(texts)
        with gr.Column(scale=4, min_width=300, elem_id="loom-plan-side"):
            side = build_plan_side(texts)
        build_plan_bar(texts)
    plans, changing, histories = (
        PlanHandlers(workspace, texts),
        ChangesHandlers(workspace, texts),
        HistoryHandlers(workspace),
    )
    _wire_plan(plans, side, fields, texts)
    _wire_scripts(fields)
    _wire_history(histories, history, fields)
    _wire_changes(changing, changes, importing, keeping, fields)
    preset_handlers = PresetHandlers(workspace, changing, texts)
    _wire_preset_choice(preset_handlers, choice, changes, keeping, fields, workspace)
    _wire_preset_keeping(preset_handlers, keeping, choice.chosen, fields, workspace)
    _wire_import(ImportHandlers(workspace, changing, texts), importing, changes, fields)
    side.start.click(
        StartHandlers(workspace, texts).start,
        inputs=fields,
        outputs=[side.message, tabs],
        concurrency_limit=1,
        **EVENT_OPTIONS,
    )

    def fill() -> list[Any]:
        """The form as it was left; defaults are shown as they are already."""
        chosen, draft = preset_handlers.chosen_first(), Draft(workspace).load()
        choices = gr.Dropdown(choices=preset_choices(workspace, texts), value=chosen)
        beside = [choices, preset_handlers.describe(chosen), *histories.restored(draft)]
        changed = [gr.skip() if kept == default else kept for kept, default in zip(draft, form_of({}), strict=True)]
        return [*beside, *changed]

    filled = [choice.chosen, keeping.about, *history.shown, *fields]
    return TrainTab(fill, filled, plans.show, [*side.choices, *fields], side.shown)


def _wire_plan(plans: PlanHandlers, side: PlanSide, fields: Fields, texts: Texts) -> None:
    refresh = gr.Button(texts("plan.refresh"), elem_id="refresh-plan")  # clicked by script when a run ends; never shown
    inputs = [*side.choices, *fields]
    # change, not input: Gradio reports a text that was pasted with the mouse only as the former
    triggers = [refresh.click, *(component.change for component in inputs)]
    gr.on(triggers, plans.show, inputs=inputs, outputs=side.shown, trigger_mode="always_last", **SHOW_IN_TURN)
    _, toml, _ = side.shown
    output_name = fields[list(all_options()).index("output_name")]
    side.download.click(None, inputs=[toml, output_name], js=DOWNLOAD, **EVENT_OPTIONS)


def _wire_scripts(fields: Fields) -> None:
    gr.on([field.change for field in fields], None, js=FORM_CHANGED, **EVENT_OPTIONS)
    write = gr.Button("Write", elem_id="write-form")  # clicked by script; never shown
    write.click(None, inputs=fields, outputs=fields, js=WRITE_FORM, show_progress_on=write, **EVENT_OPTIONS)


def _wire_history(handlers: HistoryHandlers, buttons: HistoryButtons, fields: Fields) -> None:
    buttons.revision.render()
    inputs = [buttons.history, buttons.revision, *fields]
    in_turn: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "form history"}  # they change one history
    gr.on(
        [field.change for field in fields],
        handlers.keep_change,
        inputs=inputs,
        outputs=buttons.shown,
        trigger_mode="always_last",
        **in_turn,
        **EVENT_OPTIONS,
    )
    for button, move in ((buttons.undo, handlers.undo), (buttons.redo, handlers.redo)):
        shown = {"outputs": [*buttons.shown, *fields], "show_progress_on": button, **in_turn, **EVENT_OPTIONS}
        button.click(move, inputs=inputs, trigger_mode="multiple", **shown)  # pressed faster than it is answered


def _wire_changes(
    changing: ChangesHandlers, changes: ChangesCard, importing: ImportCard, keeping: PresetKeeping, fields: Fields
) -> None:
    inputs = [changes.others, changes.pending, *fields]
    changes.others.input(changing.show, inputs=inputs, outputs=[changes.table, changes.apply], **EVENT_OPTIONS)
    applied = changes.apply.click(
        changing.apply,
        inputs=inputs,
        outputs=[keeping.message, changes.card, *fields],
        show_progress_on=changes.apply,
        **EVENT_OPTIONS,
    )
    applied.then(
        lambda: (gr.Column(visible=False), False), outputs=[importing.card, importing.is_open], **EVENT_OPTIONS
    )
    changes.close.click(changing.close, outputs=changes.shown, **EVENT_OPTIONS)


def _wire_preset_choice(
    handlers: PresetHandlers,
    choice: PresetChoice,
    changes: ChangesCard,
    keeping: PresetKeeping,
    fields: Fields,
    workspace: Path,
) -> None:
    inputs = [choice.chosen, *fields]
    outputs = [keeping.message, changes.card, *fields]
    loaded = choice.load.click(
        handlers.load, inputs=inputs, outputs=outputs, show_progress_on=choice.load, **EVENT_OPTIONS
    )
    _remember(loaded, choice.chosen, workspace)
    compared = [keeping.message, *changes.shown]
    choice.compare.click(handlers.compare, inputs=inputs, outputs=compared, **EVENT_OPTIONS).then(
        None, js=SHOW_CHANGES, **EVENT_OPTIONS
    )


def _wire_preset_keeping(
    handlers: PresetHandlers,
    keeping: PresetKeeping,
    chosen: gr.Dropdown,
    fields: Fields,
    workspace: Path,
) -> None:
    chosen.change(handlers.describe, inputs=chosen, outputs=keeping.about, **EVENT_OPTIONS)
    told = [keeping.message, chosen]
    saved = keeping.save.click(
        handlers.save, inputs=[keeping.name, *fields], outputs=[*told, keeping.name], **EVENT_OPTIONS
    )
    _remember(saved, chosen, workspace)
    renamed = keeping.rename.click(
        handlers.rename, inputs=[chosen, keeping.new_name], outputs=[*told, keeping.new_name], **EVENT_OPTIONS
    )
    renamed.then(None, js=PRESET_LOADED, **EVENT_OPTIONS)
    keeping.delete.click(
        handlers.delete, inputs=chosen, outputs=[*told, keeping.restore, keeping.deleted], **EVENT_OPTIONS
    )
    keeping.restore.click(handlers.restore, inputs=keeping.deleted, outputs=[*told, keeping.restore], **EVENT_OPTIONS)


def _remember(done: Any, chosen: gr.Dropdown, workspace: Path) -> None:
    """Let the form mark its differences from the preset that was loaded or saved."""
    done.then(LoadedPreset(workspace).remember, inputs=chosen, **EVENT_OPTIONS).then(
        None, js=PRESET_LOADED, **EVENT_OPTIONS
    )


def _wire_import(handlers: ImportHandlers, importing: ImportCard, changes: ChangesCard, fields: Fields) -> None:
    outputs = [importing.message, *changes.shown]
    importing.open.click(
        handlers.toggle, inputs=importing.is_open, outputs=[importing.card, importing.is_open], **EVENT_OPTIONS
    )
    read = importing.read.click(
        handlers.read, inputs=[importing.text, importing.path, *fields], outputs=outputs, **EVENT_OPTIONS
    )
    chosen = importing.file.upload(
        handlers.read_file, inputs=[importing.file, *fields], outputs=outputs, **EVENT_OPTIONS
    )
    for shown in (read, chosen):
        shown.then(None, js=SHOW_CHANGES, **EVENT_OPTIONS)
