"""Making the demo as a job of the queue."""

from __future__ import annotations

from pathlib import Path

from backend.runs.folder import Job, RunFolder, create_run_folder, list_runs, submit

KIND = "demo"
NAME = "make_demo"  # a training with the preset is called demo


def submit_demo(workspace: Path) -> RunFolder:
    """Put the making of the demo into the queue; where it waits or runs already, that run is returned."""
    for run in list_runs(workspace):
        job = run.job()
        if job is not None and job.kind == KIND and not run.state().is_over:
            return run
    run = create_run_folder(workspace, NAME)
    arguments = ("-m", "backend", "demo", "--workspace", str(workspace.absolute()))
    submit(run, Job(kind=KIND, name=NAME, arguments=arguments))
    return run
