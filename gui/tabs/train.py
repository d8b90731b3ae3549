"""The Train tab: sections of options, presets, the plan beside them, and Start."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from backend.config.configuration import Configuration, all_options
from backend.config.options import Option
from backend.config.presets import Preset, find_preset, list_presets, read_preset, read_title, save_preset
from backend.config.toml_file import format_toml
from backend.errors import Problem, UserError
from backend.plan.plan import make_plan
from backend.runs.caching_job import submit_caching
from backend.runs.demo_folder import DemoFolder
from backend.runs.demo_job import submit_demo
from backend.runs.folder import RunFolder, list_runs
from backend.runs.queue import ensure_worker, resume_queue
from backend.runs.training_job import FILE_OPTIONS, check_training, submit_training
from gui.form import Draft, FieldValue, form_of, make_field, read_form, sections
from gui.plan_view import format_commands, format_plan, format_problems
from gui.texts import Texts

DEMO_PRESET = "demo"
DEMO_NOT_MADE = Problem(
    "the demo's models and dataset are not there yet",
    hint="they are made before the training starts; until then the numbers are those of the full-size model",
    severity="warning",
)
WHAT_START_ADDS = "Start adds what is left open: a seed, absolute paths, and the run's own output and log folder"
EVENT_OPTIONS: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


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
    handlers = TrainHandlers(workspace, texts)
    with gr.Row(elem_id="loom-train"):
        with gr.Column(scale=2, min_width=200, elem_id="loom-side"):
            gr.HTML(_navigation(), elem_id="loom-sections-nav", padding=False)
            preset, load, preset_name, save = _preset_fields(workspace)
        with gr.Column(scale=7, min_width=320, elem_id="loom-sections"):
            fields = _section_fields()
        with gr.Column(scale=4, min_width=300, elem_id="loom-plan-side"):
            with gr.Column(elem_id="loom-plan", elem_classes="loom-card"):
                gr.HTML("<h2>Plan</h2>", padding=False)
                plan = gr.HTML(elem_id="plan", padding=False)
                message = gr.HTML(elem_id="start-message", padding=False)
                start = gr.Button("Start training", variant="primary", elem_id="start")
            with gr.Tabs(elem_id="loom-texts", elem_classes="loom-card"):
                with gr.Tab("TOML"):
                    toml = _read_only_text("toml", "The configuration that Start will use")
                with gr.Tab("Command"):
                    command = _read_only_text("command", "The command lines")
    refresh = gr.Button("Refresh", elem_id="refresh-plan")  # clicked by script when a run ends; never shown
    shown: list[gr.components.Component] = [plan, toml, command]

    # change, not input: Gradio reports a text that was pasted with the mouse only as the former
    gr.on(
        [field.change for field in fields],
        handlers.edit,
        inputs=fields,
        outputs=shown,
        trigger_mode="always_last",
        **EVENT_OPTIONS,
    )
    refresh.click(handlers.show, inputs=fields, outputs=shown, **EVENT_OPTIONS)
    load.click(handlers.load_preset, inputs=[preset, *fields], outputs=[message, *fields], **EVENT_OPTIONS)
    save.click(
        handlers.save_preset, inputs=[preset_name, *fields], outputs=[message, preset, preset_name], **EVENT_OPTIONS
    )
    start.click(handlers.start, inputs=fields, outputs=[message, tabs], concurrency_limit=1, **EVENT_OPTIONS)
    return TrainTab(handlers.open, [preset, *fields], handlers.show, fields, shown)


class TrainHandlers:
    """What the tab's buttons and fields do; each result goes to the components named where it is wired."""

    def __init__(self, workspace: Path, texts: Texts) -> None:
        self.workspace = workspace
        self.texts = texts
        self.draft = Draft(workspace)

    def open(self) -> list[Any]:
        """The form as it was left, when a page is opened."""
        return [gr.Dropdown(choices=_preset_choices(self.workspace)), *self.draft.load()]

    def edit(self, *raw: FieldValue) -> tuple[str, str, str]:
        """Keep the draft and show what follows from it."""
        shown = self.show(*raw)
        self.draft.save(raw)
        return shown

    def show(self, *raw: FieldValue) -> tuple[str, str, str]:
        """Plan, TOML and command; mistakes in place of all three while there are any."""
        try:
            configuration = read_form(raw)
            toml = format_toml(configuration.values(), title=WHAT_START_ADDS)
        except UserError as error:
            waiting = "# as soon as the problems are solved"
            return format_problems(error.problems), waiting, waiting
        plan = make_plan(configuration)
        if self._demo_is_missing(configuration):
            plan = replace(plan, problems=(DEMO_NOT_MADE, *(p for p in plan.problems if p.option not in FILE_OPTIONS)))
        return format_plan(plan), toml, format_commands(configuration, workspace=self.workspace)

    def load_preset(self, name: str, *raw: FieldValue) -> list[Any]:
        """The form with the preset's options changed and no others. The first use of Demo makes its files."""
        try:
            preset = find_preset(name or "", workspace=self.workspace)
            values = read_preset(preset, workspace=self.workspace)
            title, description = read_title(preset)
        except UserError as error:
            return [format_problems(error.problems), *raw]
        loaded = dict(zip(all_options(), form_of(values), strict=True))
        kept = dict(zip(all_options(), raw, strict=True))
        told = f"Loaded {title}: {len(values)} {'option' if len(values) == 1 else 'options'}. {description}"
        if preset.shipped and preset.name == DEMO_PRESET and not DemoFolder.of(self.workspace).is_whole():
            submit_demo(self.workspace)
            ensure_worker(self.workspace)
            told += " Its models and dataset are being made now, see Monitor; you may press Start already."
        return [_told(told), *({**kept, **{option: loaded[option] for option in values}}).values()]

    def save_preset(self, name: str, *raw: FieldValue) -> list[Any]:
        """Save the form as a preset of the user's own."""
        try:
            preset = save_preset(name or "", read_form(raw).values(), workspace=self.workspace)
        except UserError as error:
            return [format_problems(error.problems), gr.skip(), gr.skip()]
        choices = gr.Dropdown(choices=_preset_choices(self.workspace), value=preset.name)
        return [_told(f"Saved as preset {preset.name}."), choices, ""]

    def start(self, *raw: FieldValue) -> list[Any]:
        """Put the training into the queue, after the demo's making or the caching if that is needed, and go to it."""
        try:
            configuration = read_form(raw)
            check_training(configuration, files_may_be_missing=True)  # before anything is queued
            needs = self._what_must_run_first(configuration)
            run = submit_training(configuration, workspace=self.workspace, needs=needs)
        except UserError as error:
            return [format_problems(error.problems), gr.skip()]
        finally:
            resume_queue(self.workspace)
        return [_told(self._what_start_did(run)), gr.Tabs(selected="monitor")]

    def _what_must_run_first(self, configuration: Configuration) -> list[RunFolder]:
        if self._demo_is_missing(configuration):
            return [submit_demo(self.workspace)]
        plan = make_plan(configuration)
        if plan.errors or plan.dataset is None or not plan.dataset.missing:
            return []
        return submit_caching(configuration, workspace=self.workspace)

    def _what_start_did(self, run: RunFolder) -> str:
        before = sum(not other.state().is_over for other in list_runs(self.workspace) if other != run)
        if not before:
            return f"Started {run.name}."
        return f"Queued {run.name}: it starts by itself after {before} other {'run' if before == 1 else 'runs'}."

    def _demo_is_missing(self, configuration: Configuration) -> bool:
        """Whether the form names files of the demo, which is not made yet."""
        demo = DemoFolder.of(self.workspace)
        paths = (configuration.model.dit, configuration.dataset.dataset_config)
        names_demo = any(path is not None and demo.path in Path(path).absolute().parents for path in paths)
        return names_demo and not demo.is_whole()


def _section_fields() -> list[gr.components.Component]:
    """All fields, section by section, in the order of `all_options`."""
    fields = []
    for key, (title, options) in sections().items():
        with gr.Column(elem_id=f"section-{key}", elem_classes=["loom-section", "loom-card"]):
            gr.HTML(f"<h2>{escape(title)}</h2>", padding=False)
            with gr.Column(elem_classes="loom-fields"):
                fields += [make_field(declared) for declared in options]
    return fields


def _read_only_text(elem_id: str, label: str) -> gr.Textbox:
    return gr.Textbox(
        label=label,
        lines=12,
        max_lines=24,
        interactive=False,
        buttons=["copy"],
        elem_id=elem_id,
        elem_classes="loom-code",
    )


def _navigation() -> str:
    """The search field and the list of sections; the script opens a section and finds options."""
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


def _preset_fields(workspace: Path) -> tuple[gr.Dropdown, gr.Button, gr.Textbox, gr.Button]:
    with gr.Column(elem_id="loom-presets", elem_classes="loom-card"):
        preset = gr.Dropdown(choices=_preset_choices(workspace), label="Preset", elem_id="preset")
        load = gr.Button("Load", elem_id="preset-load", size="sm")
        name = gr.Textbox(label="Save as", placeholder="name", max_lines=1, elem_id="preset-name")
        save = gr.Button("Save", elem_id="preset-save", size="sm")
    return preset, load, name, save


def _preset_choices(workspace: Path) -> list[tuple[str, str]]:
    return [(_title(preset), preset.name) for preset in list_presets(workspace)]


def _title(preset: Preset) -> str:
    try:
        return read_title(preset)[0]
    except UserError:  # told in full when it is loaded
        return preset.name


def _told(text: str) -> str:
    return f"<div class='loom-note'>{escape(text)}</div>"
