"""Run folders as submitting and a trainer leave them, without a process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from backend.config.configuration import Configuration
from backend.config.toml_file import write_configuration
from backend.runs.folder import Job, RunFolder, submit
from backend.runs.status import Reporter, write_json

NO_PROCESS = {"pid": 2**22 + 1, "started": 1.0}  # above the highest pid of Linux


def make_run(
    workspace: Path, name: str = "fox", *, kind: str = "train", held: bool = False, **options: Any
) -> RunFolder:
    """A run that waits in the queue, with these options given."""
    number = sum(1 for _ in (workspace / "runs").glob("*")) if (workspace / "runs").is_dir() else 0
    run = RunFolder(workspace / "runs" / f"20261122-114009_{name}_{number:04d}")
    run.path.mkdir(parents=True)
    given = Configuration.from_values({"output_name": name, **options})
    write_configuration(run.given_file, given, title="as given")
    write_configuration(run.config_file, given.changed(output_dir=str(run.checkpoints)), title="complete")
    submit(run, Job(kind=kind, name=name, arguments=("-c", "pass")), held=held)
    return run


def end_run(run: RunFolder, outcome: str = "finished", *, steps: int = 0, **status: Any) -> None:
    """Let the run have trained so many steps and ended."""
    reporter = Reporter(run.path)
    for step in range(1, steps + 1):
        rates = {"unet": 1e-4}
        reporter.add_metrics(step=step, loss=1 / step, average_loss=2 / step, learning_rates=rates, gradient_norm=1.0)
    told = {"step": steps, "total_steps": steps, "loss": 1 / max(1, steps), "process": NO_PROCESS, **status}
    reporter.update(**told, outcome=outcome)
    write_json(run.exit_file, {"code": 0 if outcome == "finished" else 1, "how": "", "at": time.time()})
