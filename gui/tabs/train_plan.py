"""The right side of the Train tab: the plan, and below it the TOML and the command lines that Start will use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import psutil

from backend.config.configuration import Configuration, all_options
from backend.config.shells import SHELLS, Shell
from backend.config.toml_file import format_toml
from backend.errors import Problem, UserError
from backend.gpus import first_gpu
from backend.plan.plan import Plan, make_plan
from backend.runs.experience import experience_of
from backend.runs.training_job import FILE_OPTIONS
from gui.demo import demo_is_missing
from gui.disk import free_bytes
from gui.form import FieldValue, read_form
from gui.memory_view import corrected_bytes
from gui.plan_verdict import format_verdict
from gui.plan_view import Surroundings, format_plan
from gui.problem_notes import format_problems
from gui.shell_view import USUAL_SHELL, format_commands
from gui.tabs.events import EVENT_OPTIONS
from gui.texts import Texts
from gui.units import format_bytes

Shown = tuple[str, str, str]
"""Plan, TOML and command lines."""

SHOW_IN_TURN: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "plan", **EVENT_OPTIONS}
"""How showing it is wired: one after the other, so that what was asked for last is what stands there in the end."""


@dataclass(frozen=True)
class PlanSide:
    """The components of the plan side. message: where presets and Start tell what they did.

    choices: what `PlanHandlers` wants before the fields. shown: what it fills.
    """

    shown: list[gr.components.Component]
    choices: list[gr.components.Component]
    message: gr.HTML
    start: gr.Button
    download: gr.Button


def build_plan_side(texts: Texts) -> PlanSide:
    """Build the column beside the form."""
    gr.HTML(_sheet_head(texts), elem_id="loom-plan-head", padding=False)
    with gr.Column(elem_id="loom-plan", elem_classes="loom-card"):
        gr.HTML(f"<h2>{escape(texts('plan.title'))}</h2>", padding=False)
        plan = gr.HTML(elem_id="plan", padding=False, apply_default_css=False)
        message = gr.HTML(elem_id="start-message", padding=False, apply_default_css=False)
        start = gr.Button(texts("plan.start"), variant="primary", elem_id="start")
    with gr.Tabs(elem_id="loom-plan-texts", elem_classes="loom-card"):
        with gr.Tab(texts("plan.toml.tab")):
            view = gr.Radio(
                [(texts("plan.toml.all"), "all"), (texts("plan.toml.differing"), "differing")],
                value="all",
                label=texts("plan.toml.view"),
                elem_id="toml-view",
                elem_classes="loom-choice",
            )
            toml = _read_only_text("toml", texts("plan.toml.label"))
            download = gr.Button(texts("plan.toml.download"), size="sm", elem_id="toml-download")
        with gr.Tab(texts("plan.command.tab")):
            shell = gr.Radio(
                [(name, key) for key, name in SHELLS.items()],
                value=USUAL_SHELL,
                label=texts("plan.command.shell"),
                elem_id="shell",
                elem_classes="loom-choice",
            )
            command = _read_only_text("command", texts("plan.command.label"))
    return PlanSide([plan, toml, command], [view, shell], message, start, download)


def build_plan_bar(texts: Texts) -> None:
    """Build what opens the plan on a narrow screen; gui/assets/plan_sheet.js makes a sheet of the column there."""
    button = (
        "<button type='button' id='loom-plan-open' aria-haspopup='dialog' aria-expanded='false'>"
        f"<b>{escape(texts('plan.title'))}</b> <span id='loom-plan-told'></span>"
        "<span aria-hidden='true'>▴</span></button>"
    )
    gr.HTML(button, elem_id="loom-plan-bar", padding=False)


class PlanHandlers:
    """What the plan side shows for a form; each result goes to the components named in PlanSide."""

    def __init__(self, workspace: Path, texts: Texts) -> None:
        self.workspace = workspace
        self.texts = texts

    def show(self, view: str, shell: Shell, *raw: FieldValue) -> Shown:
        """Plan, TOML and command; mistakes in place of all three while there are any."""
        try:
            configuration = read_form(raw)
            toml = self.toml(configuration, only_differing=view == "differing")
        except UserError as error:
            waiting = self.texts("plan.waiting")
            problems = format_problems(error.problems, self.texts)
            return problems + format_verdict(error.problems, None, self.texts), waiting, waiting
        around = self._surroundings(configuration)
        plan = make_plan(configuration, on_gpu=around.on_gpu)
        if demo_is_missing(configuration, workspace=self.workspace):
            mended = (problem for problem in plan.problems if problem.option not in FILE_OPTIONS)
            plan = replace(plan, problems=(self._demo_not_made(), *mended))
        plan = replace(plan, problems=(*plan.problems, *self.shortages(plan, around)))
        commands = format_commands(configuration, workspace=self.workspace, shell=shell, texts=self.texts)
        verdict = format_verdict(plan.problems, plan, self.texts)
        return format_plan(plan, configuration, around, self.texts) + verdict, toml, commands

    def toml(self, configuration: Configuration, *, only_differing: bool) -> str:
        """The TOML that Start will use, or what of it differs from the defaults."""
        values = configuration.values()
        if not only_differing:
            return format_toml(values, title=self.texts("plan.toml.title"))
        differing = {name: value for name, value in values.items() if value != all_options()[name].default}
        return format_toml(differing, title=self.texts("plan.toml.title_differing"))

    def shortages(self, plan: Plan, around: Surroundings) -> Sequence[Problem]:
        """Warnings for what this machine does not have enough of."""
        problems = []
        if around.disk_free is not None and plan.disk_bytes > around.disk_free:
            needed, free = format_bytes(plan.disk_bytes), format_bytes(around.disk_free)
            text = self.texts("plan.disk.short", needed=needed, free=free, folder=around.folder)
            problems.append(Problem(text, self.texts("plan.disk.short_hint"), "output_dir", "warning"))
        needed_bytes = corrected_bytes(plan.memory, around.experience) if plan.memory else 0
        if around.device and needed_bytes > around.device[1]:
            device, total = around.device
            text = self.texts(
                "plan.memory.too_much", needed=format_bytes(needed_bytes), total=format_bytes(total), device=device
            )
            hint = self.texts("plan.memory.too_much_hint")
            problems.append(Problem(text, hint, "gradient_checkpointing", "warning"))
        return problems

    def _surroundings(self, configuration: Configuration) -> Surroundings:
        folder = Path(configuration.saving.output_dir or self.workspace)
        return Surroundings(
            experience=experience_of(configuration, workspace=self.workspace),
            disk_free=free_bytes(folder),
            gpu=first_gpu(),
            machine=(self.texts("plan.memory.machine"), psutil.virtual_memory().total),
            folder=str(folder),
        )

    def _demo_not_made(self) -> Problem:
        return Problem(self.texts("plan.demo_missing"), self.texts("plan.demo_missing_hint"), severity="warning")


def _sheet_head(texts: Texts) -> str:
    close = escape(texts("plan.close"))
    return f"<button type='button' id='loom-plan-close' class='loom-button'>{close}</button>"


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
