"""What the button Start does: put the training into the queue, after what has to run before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from backend.config.configuration import Configuration
from backend.errors import UserError
from backend.plan.plan import make_plan
from backend.runs.caching_job import submit_caching
from backend.runs.demo_job import submit_demo
from backend.runs.folder import RunFolder, list_runs
from backend.runs.queue import resume_queue
from backend.runs.training_job import check_training, submit_training
from gui.demo import demo_is_missing
from gui.form import FieldValue, read_form
from gui.problem_notes import format_problems, told
from gui.texts import Texts


class StartHandlers:
    """What Start does with a form."""

    def __init__(self, workspace: Path, texts: Texts) -> None:
        self.workspace = workspace
        self.texts = texts

    def start(self, *raw: FieldValue) -> list[Any]:
        """Put the training into the queue, after the demo's making or the caching if that is needed, and go to it."""
        try:
            configuration = read_form(raw)
            check_training(configuration, files_may_be_missing=True)  # before anything is queued
            needs = self._what_must_run_first(configuration)
            run = submit_training(configuration, workspace=self.workspace, needs=needs)
        except UserError as error:
            return [format_problems(error.problems, self.texts), gr.skip()]
        finally:
            resume_queue(self.workspace)
        return [told(self._what_start_did(run)), gr.Tabs(selected="monitor")]

    def _what_must_run_first(self, configuration: Configuration) -> list[RunFolder]:
        if demo_is_missing(configuration, workspace=self.workspace):
            return [submit_demo(self.workspace)]
        plan = make_plan(configuration)
        if plan.errors or plan.dataset is None or not plan.dataset.missing:
            return []
        return submit_caching(configuration, workspace=self.workspace)

    def _what_start_did(self, run: RunFolder) -> str:
        before = sum(not other.state().is_over for other in list_runs(self.workspace) if other != run)
        if not before:
            return self.texts("plan.started", run=run.name)
        return self.texts.count("plan.queued", before, run=run.name)
