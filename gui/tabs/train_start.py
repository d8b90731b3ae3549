"""What the button Start does: put the training into the queue, after what has to run before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from backend.config.configuration import Configuration
from backend.errors import UserError
from backend.runs.demo_job import submit_demo
from backend.runs.folder import RunFolder
from backend.runs.order import runs_ahead
from backend.runs.queue import resume_queue
from backend.runs.submission import submit_with_caching
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
            run = self._submit(configuration)
        except UserError as error:
            return [format_problems(error.problems, self.texts), gr.skip()]
        finally:
            resume_queue(self.workspace)
        return [told(self._what_start_did(run)), gr.Tabs(selected="monitor")]

    def _submit(self, configuration: Configuration) -> RunFolder:
        if not demo_is_missing(configuration, workspace=self.workspace):
            return submit_with_caching(configuration, workspace=self.workspace)[-1]
        check_training(configuration, files_may_be_missing=True)  # before anything is queued
        return submit_training(configuration, workspace=self.workspace, needs=[submit_demo(self.workspace)])

    def _what_start_did(self, run: RunFolder) -> str:
        before = len(runs_ahead(run))
        if not before:
            return self.texts("plan.started", run=run.name)
        return self.texts.count("plan.queued", before, run=run.name)
