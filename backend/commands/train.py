"""Train a LoRA: `python -m backend train --config_file run.toml --learning_rate 2e-4`.

The command checks everything, makes a run folder, and starts `accelerate launch -m backend.commands.train` on it, in
which this same file trains; what that prints goes to the run's log and, while the command waits, to its own output.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from pathlib import Path

import filelock

from backend.config.command_line import make_parser, read_arguments
from backend.config.configuration import Configuration
from backend.config.doubts import find_doubts
from backend.config.schema import GROUPS
from backend.config.toml_file import read_configuration
from backend.errors import StoppedByUser, UserError
from backend.plan.plan import check_outputs
from backend.runs.folder import RunFolder, RunState
from backend.runs.log_file import LogFollower
from backend.runs.occupancy import runs_in_its_way
from backend.runs.outcome import reported_outcome
from backend.runs.output import outlive_full_disk
from backend.runs.queue import run_job
from backend.runs.secrets import load_secrets
from backend.runs.status import Reporter
from backend.runs.training_job import submit_training
from backend.runs.workspace import DEFAULT_WORKSPACE


def main(arguments: list[str]) -> int:
    """Check, make the run folder, train in a process of its own, and follow its log. Ctrl+C saves and stops."""
    parser = make_parser("train", description=__doc__ or "", groups=set(GROUPS) - {"caching"})
    parser.add_argument("--workspace", type=Path, default=DEFAULT_WORKSPACE, help="folder of the runs")
    parser.add_argument(
        "--show_timesteps",
        choices=("console", "image"),
        help="only show how often each noise level would be drawn, as text or as a picture in the workspace",
    )
    configuration, own = read_arguments(parser, arguments)
    if "show_timesteps" in own:
        return show_timesteps(configuration, own.show_timesteps, folder=own.workspace)
    for doubt in find_doubts(configuration):
        print(f"warning: {doubt}", file=sys.stderr)
    run = submit_training(configuration, workspace=own.workspace, foreground=True)
    return follow(run)


def show_timesteps(configuration: Configuration, how: str, *, folder: Path) -> int:
    """Print the distribution of timesteps, or write its picture into the folder and print where."""
    from backend.commands.assembly import noise_sampling  # torch takes a second to import
    from backend.training.timestep_report import timestep_histogram

    histogram = timestep_histogram(noise_sampling(configuration), seed=configuration.schedule.seed or 0)
    if how == "console":
        print(histogram.text(), end="")
        return 0
    path = folder / "timesteps.png"
    histogram.write_picture(path)
    print(f"saved {path}")
    return 0


def follow(run: RunFolder) -> int:
    """Run a job in the foreground: its log goes to the console, Ctrl+C asks it to stop. Returns the exit code."""
    print(f"run {run.path}", flush=True)
    _warn_of_company(run)
    follower = LogFollower(run.log_file, sys.stdout)
    previous = signal.signal(signal.SIGINT, lambda *_: run.request("stop"))
    try:
        code = run_job(run, tick=follower.copy)
    finally:
        signal.signal(signal.SIGINT, previous)
    if run.state() is RunState.STOPPED:
        return StoppedByUser.exit_code
    status = run.status()
    if status is not None and status.exit_code is not None:  # the launcher makes 1 of all but 0
        return status.exit_code
    return 1 if code is None or code < 0 else code


def _warn_of_company(run: RunFolder) -> None:
    """Tell in one line which runs already use what this one needs; it goes on, as somebody asked for it."""
    if names := ", ".join(other.name for other in runs_in_its_way(run)):
        print(
            f"warning: shares its GPU (or CPU) with {names}: both are slower and may run out of memory", file=sys.stderr
        )


def train(run: RunFolder) -> None:
    """The training itself, inside accelerate's launcher; its outcome is told in the run's status.

    Of the processes on a machine the first holds the lock and tells; the others only compute.
    """
    load_secrets(run.workspace)
    if os.environ.get("LOCAL_RANK", "0") != "0":
        _train(read_configuration(run.config_file), run, Reporter(None))
        return
    lock = filelock.FileLock(run.lock_file)
    try:
        with lock.acquire(timeout=5):
            _train_and_report(run)
    except filelock.Timeout as error:
        raise UserError(f"{run.path}: another process trains this run", hint="start a run of its own") from error


def _train_and_report(run: RunFolder) -> None:
    reporter = Reporter(run.path)
    with reported_outcome(reporter, phase="loading"):
        configuration = read_configuration(run.config_file)
        check_outputs(configuration)  # another run may have made them since this one was put into the queue
        _train(configuration, run, reporter)


def _train(configuration: Configuration, run: RunFolder, reporter: Reporter) -> None:
    from backend.commands.assembly import assemble_trainer  # torch and accelerate take seconds to import

    trainer = assemble_trainer(configuration, run=run, reporter=reporter)
    try:
        trainer.train()
    finally:
        if trainer.trackers:
            trainer.trackers.close()
        if trainer.uploader:
            trainer.uploader.finish()


def run_as_trainer(arguments: list[str]) -> int:
    """The entry that accelerate launches: --config_file RUN/config.toml."""
    faulthandler.enable()  # a library that makes the process crash leaves a traceback in the log
    outlive_full_disk()
    configuration_file = Path(arguments[arguments.index("--config_file") + 1])
    try:
        train(RunFolder(configuration_file.absolute().parent))
    except UserError as error:
        print(*error.lines(), sep="\n", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(run_as_trainer(sys.argv[1:]))
