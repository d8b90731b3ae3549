"""Runs made from other runs: the settings as they were given, run again, and resumed from a state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.config.configuration import Configuration
from backend.config.toml_file import read_configuration
from backend.errors import InputError
from backend.runs.folder import RunFolder
from backend.runs.states import last_state
from backend.runs.submission import submit_with_caching


def given_configuration(run: RunFolder) -> Configuration:
    """The settings as they were given when the run was submitted: put into the form, they make the same TOML.

    Of a run that did not keep them it is the complete configuration. Raises OptionError if there is none.
    """
    return read_configuration(run.given_file if run.given_file.exists() else run.config_file)


def run_again(run: RunFolder, *, changes: Mapping[str, Any] | None = None, held: bool = False) -> list[RunFolder]:
    """Submit the same training once more, with these options changed, after the caching that it needs.

    Returns the runs, the training last. Raises InputError if it is no training, OptionError with every problem that
    keeps it from starting.
    """
    _check_is_training(run)
    configuration = given_configuration(run).changed(**(changes or {}))
    return submit_with_caching(configuration, workspace=run.workspace, held=held)


def resume_run(
    run: RunFolder, *, state: Path | None = None, changes: Mapping[str, Any] | None = None, held: bool = False
) -> list[RunFolder]:
    """Submit a training that goes on from a state of this one, the last if None, after the caching that it needs.

    It has the dataset, the seed and, but for these changes, the options that the run had, and a folder of its own.
    Returns the runs, the training last. Raises InputError if there is no state or the run is no training, OptionError
    with every problem that keeps it from starting.
    """
    _check_is_training(run)
    last = last_state(run)
    if state is None and last is None:
        raise InputError(f"{run.name}: has saved no state", hint="start it again, with save_state on")
    complete = read_configuration(run.config_file)
    path = str(state or (last.path if last else None))
    options: dict[str, Any] = {"resume": path, "resume_from_huggingface": False, **(changes or {})}
    if complete.saving.output_dir == str(run.checkpoints):
        options.setdefault("output_dir", None)  # else the earlier run's folder would take the new one's files
    return submit_with_caching(complete.changed(**options), workspace=run.workspace, held=held)


def _check_is_training(run: RunFolder) -> None:
    job = run.job()
    if job is None or job.kind != "train":
        raise InputError(f"{run.name}: is no training", hint="choose a run of kind train")
