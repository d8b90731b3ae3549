"""What a training gives: LoRA files with their metadata, states, uploads, logs and samples, as the options ask."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator
from torch.optim import Optimizer
from tqdm import tqdm

from backend.commands.optimization import optimizer_arguments
from backend.commands.processes import is_first_process
from backend.commands.records import hyperparameters, model_spec, training_record
from backend.commands.training_data import TrainingData
from backend.config.configuration import Configuration
from backend.config.sample_prompts import read_prompts
from backend.config.tracker_file import TrackerSettings, tracker_settings
from backend.errors import OptionError
from backend.networks.metadata import build_metadata
from backend.plan.saving import NO_SAMPLES, SamplePlan, SavePlan
from backend.runs.folder import RunFolder
from backend.training.checkpoints import SAVE_DTYPES, Saver
from backend.training.optimizers import optimizer_name
from backend.training.sampler import Sampler, shares_of_prompts
from backend.training.trackers import Trackers, check_wandb_login, new_log_folder, tracker_kinds
from backend.training.trainer import Trainer
from backend.training.upload import Repository, Uploader


@dataclass(frozen=True)
class OutputPlaces:
    """Where the first process writes: folders that are there, and what its trackers are made with."""

    files: Path
    logs: Path
    tracker_settings: TrackerSettings


def make_output_places(configuration: Configuration, run: RunFolder) -> OutputPlaces:
    """The folders of a training, made before anything slow. Raises OptionError for what the disk, or wandb, refuses."""
    logging = configuration.logging
    file = Path(logging.log_tracker_config) if logging.log_tracker_config else None
    settings = tracker_settings(
        file,
        wandb_run_name=logging.wandb_run_name,
        wandb_tags=logging.wandb_tags,
        wandb_offline=logging.wandb_offline,
    )
    return OutputPlaces(_make_output_folder(configuration, run), _make_log_folder(configuration), settings)


def add_outputs(trainer: Trainer, configuration: Configuration, data: TrainingData, *, places: OutputPlaces) -> None:
    """Give the trainer of the first process what it logs, saves and uploads with."""
    trainer.trackers = Trackers(
        trainer.accelerator,
        log_folder=places.logs,
        name=configuration.logging.log_tracker_name,
        settings=places.tracker_settings,
        hyperparameters=hyperparameters(configuration) if configuration.logging.log_config else None,
    )
    trainer.saver = Saver(
        folder=places.files,
        name=configuration.saving.output_name,
        dtype=SAVE_DTYPES[configuration.saving.save_precision],
        plan=SavePlan.of(configuration.saving),
        tensors=trainer.weights_to_save,
        metadata=metadata_of(configuration, data, trainer.optimizer),
        write_state=trainer.save_state,
    )
    trainer.uploader = uploader_of(configuration)


def sampler_of_run(
    configuration: Configuration, run: RunFolder, accelerator: Accelerator, *, seed: int, all_take_part: bool
) -> Sampler | None:
    """What this process samples with; None where it has no part in it. Only processes of the first machine have.

    all_take_part: every process computes every sample, since each has a part of the weights; the first writes.
    """
    file = configuration.sampling.sample_prompts
    if file is None or SamplePlan.of(configuration.sampling) == NO_SAMPLES:
        return None
    prompts = read_prompts(Path(file))
    if all_take_part:
        share = list(enumerate(prompts))
    elif configuration.machines.machine_rank == 0:
        index, count = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        share = shares_of_prompts(prompts, index=index, count=count)
    else:
        share = []
    if not share:
        return None
    from backend.commands.samples import make_sampler  # VAE and text encoders take seconds to import

    return make_sampler(
        configuration,
        share,
        folder=_samples_folder(configuration, run),
        name=configuration.saving.output_name,
        device=accelerator.device,
        seed=seed,
        autocast=accelerator.autocast,
        writes=is_first_process() or not all_take_part,
    )


def _samples_folder(configuration: Configuration, run: RunFolder) -> Path:
    """The run's own, or `sample` in an output folder that the user has named, as in musubi-tuner."""
    output = configuration.saving.output_dir
    return run.samples if output in (None, str(run.checkpoints)) else Path(output) / "sample"


def uploader_of(configuration: Configuration) -> Uploader | None:
    options = configuration.huggingface
    if options.huggingface_repo_id is None:
        return None
    repository = Repository(
        options.huggingface_repo_id,
        options.huggingface_repo_type,
        options.huggingface_path_in_repo or "",
        public=options.huggingface_repo_visibility == "public",
    )
    return Uploader(
        repository, tell=tqdm.write, in_background=options.async_upload, states=options.save_state_to_huggingface
    )


def _make_log_folder(configuration: Configuration) -> Path:
    """A new folder for the event files; made early, so that TensorBoard finds it."""
    if "wandb" in tracker_kinds(configuration.logging.log_with) and not configuration.logging.wandb_offline:
        check_wandb_login()
    if configuration.logging.logging_dir is None:
        raise OptionError("no log folder is given", hint="name it with logging_dir", option="logging_dir")
    return new_log_folder(Path(configuration.logging.logging_dir), configuration.logging.log_prefix)


def _make_output_folder(configuration: Configuration, run: RunFolder) -> Path:
    folder = Path(configuration.saving.output_dir or run.checkpoints)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{folder}: the output folder cannot be made: {error.strerror}"
        raise OptionError(message, hint="choose another output_dir", option="output_dir") from error
    return folder


def metadata_of(
    configuration: Configuration, data: TrainingData, optimizer: Optimizer
) -> Callable[[int, int], dict[str, str]]:
    """The metadata of a file as a function of step and epoch."""
    record = training_record(
        configuration, data, optimizer=optimizer_name(optimizer, optimizer_arguments(configuration))
    )
    spec, minimal = model_spec(configuration), configuration.metadata.no_metadata
    return lambda step, epoch: build_metadata(
        record, spec, steps=step, epoch=epoch, finished_at=time.time(), minimal=minimal
    )
