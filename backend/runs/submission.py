"""One submission of jobs that depend on each other: cache what is missing, then train."""

from __future__ import annotations

from pathlib import Path

from backend.config.configuration import Configuration
from backend.plan.plan import make_plan
from backend.runs.caching_job import check_caching, submit_caching
from backend.runs.folder import RunFolder
from backend.runs.training_job import check_training, submit_training


def submit_with_caching(configuration: Configuration, *, workspace: Path, held: bool = False) -> list[RunFolder]:
    """Put a training into the queue, after the caching of its dataset where that is missing. The training comes last.

    A caching that fails keeps the training from starting. held: the first waits until it is released, and the others
    with it. Raises OptionError with every problem that keeps it from starting; then nothing is queued.
    """
    check_training(configuration, files_may_be_missing=True)
    plan = make_plan(configuration)
    if plan.errors or plan.dataset is None or not plan.dataset.missing:
        return [submit_training(configuration, workspace=workspace, held=held)]
    check_caching(configuration)
    needs = submit_caching(configuration, workspace=workspace, held=held)
    return [*needs, submit_training(configuration, workspace=workspace, needs=needs)]
