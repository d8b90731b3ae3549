"""The right side of the Train tab: the plan, and below it the TOML and the command lines that Start will use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr

from backend.config.toml_file import format_toml
from backend.errors import UserError
from backend.plan.plan import make_plan
from backend.runs.training_job import FILE_OPTIONS
from gui.demo import DEMO_NOT_MADE, demo_is_missing
from gui.form import Draft, FieldValue, read_form
from gui.plan_view import format_commands, format_plan, format_problems
from gui.texts import Texts

WHAT_START_ADDS = "Start adds what is left open: a seed, absolute paths, and the run's own output and log folder"


@dataclass(frozen=True)
class PlanSide:
    """The components of the plan side. message: where presets and Start tell what they did."""

    shown: list[gr.components.Component]
    message: gr.HTML
    start: gr.Button


def build_plan_side(texts: Texts) -> PlanSide:
    """Build the column beside the form."""
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
    return PlanSide([plan, toml, command], message, start)


class PlanHandlers:
    """What the plan side shows for a form; each result goes to the components named in PlanSide."""

    def __init__(self, workspace: Path, texts: Texts) -> None:
        self.workspace = workspace
        self.texts = texts
        self.draft = Draft(workspace)

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
        if demo_is_missing(configuration, workspace=self.workspace):
            plan = replace(plan, problems=(DEMO_NOT_MADE, *(p for p in plan.problems if p.option not in FILE_OPTIONS)))
        return format_plan(plan), toml, format_commands(configuration, workspace=self.workspace)


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
