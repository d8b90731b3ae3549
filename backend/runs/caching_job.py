"""The caching of a dataset as runs: latents first, then text encoder outputs."""

from __future__ import annotations

from pathlib import Path

from backend.config.configuration import Configuration, all_options
from backend.config.toml_file import write_configuration
from backend.errors import OptionError, Problem
from backend.runs.folder import Job, RunFolder, create_run_folder, submit
from backend.runs.training_job import absolute_paths

NEEDED = {
    "cache_latents": ("dataset_config", "vae"),
    "cache_text_encoder_outputs": ("dataset_config", "text_encoder1", "text_encoder2"),
}
"""The caching commands in their order, and the options that each cannot do without."""


def submit_caching(configuration: Configuration, *, workspace: Path, held: bool = False) -> list[RunFolder]:
    """Put the caching of what is missing into the queue, the second command after the first.

    held: they wait until the first is released.
    Raises OptionError naming the models that are not given; then nothing is queued.
    """
    check_caching(configuration)
    runs: list[RunFolder] = []
    for command in NEEDED:
        run = create_run_folder(workspace, command)
        complete = configuration.changed(skip_existing=True, **absolute_paths(configuration))
        write_configuration(run.config_file, complete, title=f"LoRA Loom run {run.name}")
        write_configuration(run.given_file, configuration, title=f"As given to LoRA Loom run {run.name}")
        job = Job(
            kind=command,
            name=command,
            arguments=("-m", "backend", command, "--config_file", str(run.config_file)),
            needs=tuple(needed.name for needed in runs),
            devices=_devices(configuration.caching.device),
        )
        submit(run, job, held=held and not runs)
        runs.append(run)
    return runs


def check_caching(configuration: Configuration) -> None:
    """Raise OptionError naming each option that caching needs and that is not given."""
    values = configuration.values()
    missing = dict.fromkeys(name for names in NEEDED.values() for name in names if values[name] is None)
    if missing:
        raise OptionError.of(
            Problem(
                f"{all_options()[name].label} ({name}) is not given",
                hint="it is needed to cache the dataset",
                option=name,
            )
            for name in missing
        )


def _devices(device: str | None) -> tuple[str, ...]:
    """The number in a device such as cuda:1, which is the only one that the caching keeps to then."""
    name, _, number = (device or "").partition(":")
    return (number,) if name == "cuda" and number.isdigit() else ()
