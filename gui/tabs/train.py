"""The Train tab, put together: sections of options, presets, the plan beside them, and Start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from gui.form import Draft
from gui.loaded_preset import LoadedPreset
from gui.tabs.events import EVENT_OPTIONS
from gui.tabs.train_plan import PlanHandlers, build_plan_side
from gui.tabs.train_presets import PresetHandlers, build_presets, preset_choices
from gui.tabs.train_sections import build_fields, build_navigation
from gui.tabs.train_start import StartHandlers
from gui.texts import Texts

PRESET_LOADED = "() => { document.dispatchEvent(new CustomEvent('loom-preset')); return []; }"
FORM_CHANGED = "() => { document.dispatchEvent(new CustomEvent('loom-form')); return []; }"
WRITE_FORM = """(...values) => {
  const form = { values };
  document.dispatchEvent(new CustomEvent("loom-form-write", { detail: form }));
  return form.values;
}"""
"""How the page's scripts are told of changes and write into the form, without the server: gui/assets/form_values.js."""


@dataclass(frozen=True)
class TrainTab:
    """What is to be done when a page is opened: fill the form, then show the plan, which may take longer."""

    fill: Callable[[], list[Any]]
    filled: list[gr.components.Component]
    show: Callable[..., tuple[str, str, str]]
    fields: list[gr.components.Component]
    shown: list[gr.components.Component]


def build_train(workspace: Path, tabs: gr.Tabs, texts: Texts) -> TrainTab:
    """Build the tab inside the current gr.Tab. tabs: where Start switches to Monitor."""
    plans, preset_handlers = PlanHandlers(workspace, texts), PresetHandlers(workspace, texts)
    with gr.Row(elem_id="loom-train"):
        with gr.Column(scale=2, min_width=200, elem_id="loom-side"):
            build_navigation(texts)
            presets = build_presets(workspace, texts)
        with gr.Column(scale=7, min_width=320, elem_id="loom-sections"):
            fields = build_fields(texts)
        with gr.Column(scale=4, min_width=300, elem_id="loom-plan-side"):
            side = build_plan_side(texts)
    refresh = gr.Button("Refresh", elem_id="refresh-plan")  # clicked by script when a run ends; never shown

    # change, not input: Gradio reports a text that was pasted with the mouse only as the former
    gr.on(
        [field.change for field in fields],
        plans.edit,
        inputs=fields,
        outputs=side.shown,
        trigger_mode="always_last",
        **EVENT_OPTIONS,
    )
    gr.on([field.change for field in fields], None, js=FORM_CHANGED, **EVENT_OPTIONS)
    write = gr.Button("Write", elem_id="write-form")  # clicked by script; never shown
    write.click(None, inputs=fields, outputs=fields, js=WRITE_FORM, **EVENT_OPTIONS)
    refresh.click(plans.show, inputs=fields, outputs=side.shown, **EVENT_OPTIONS)
    loaded = presets.load.click(
        preset_handlers.load, inputs=[presets.chosen, *fields], outputs=[side.message, *fields], **EVENT_OPTIONS
    )
    loaded.then(LoadedPreset(workspace).remember, inputs=presets.chosen, **EVENT_OPTIONS).then(
        None, js=PRESET_LOADED, **EVENT_OPTIONS
    )
    saved = presets.save.click(
        preset_handlers.save,
        inputs=[presets.name, *fields],
        outputs=[side.message, presets.chosen, presets.name],
        **EVENT_OPTIONS,
    )
    saved.then(LoadedPreset(workspace).remember, inputs=presets.chosen, **EVENT_OPTIONS).then(
        None, js=PRESET_LOADED, **EVENT_OPTIONS
    )
    side.start.click(
        StartHandlers(workspace, texts).start,
        inputs=fields,
        outputs=[side.message, tabs],
        concurrency_limit=1,
        **EVENT_OPTIONS,
    )

    def fill() -> list[Any]:
        """The form as it was left, when a page is opened."""
        return [gr.Dropdown(choices=preset_choices(workspace)), *Draft(workspace).load()]

    return TrainTab(fill, [presets.chosen, *fields], plans.show, fields, side.shown)
