"""Puts a trainer together from a configuration: data, model, network, optimizer, trackers, and where to go on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from backend.commands.device import check_device, set_up_device, training_device
from backend.commands.model import compile_model, create_network, load_model
from backend.commands.records import hyperparameters, model_spec, print_summary, resume_facts, training_record
from backend.commands.training_data import TrainingData, load_data
from backend.config.configuration import Configuration
from backend.config.network_args import parse_assignments
from backend.errors import OptionError, StoppedByUser, UserError
from backend.networks.lora import LoRANetwork
from backend.networks.metadata import build_metadata
from backend.plan.plan import schedule_settings
from backend.plan.resume import MAY_CHANGE, StateRecord, check_facts, read_state_record
from backend.runs.folder import RunFolder
from backend.runs.status import Reporter
from backend.training.checkpoints import SAVE_DTYPES, SavePlan, Saver
from backend.training.loss import LossSettings
from backend.training.noise_sampling import NoiseSampling
from backend.training.optimizers import check_optimizer, make_optimizer, optimizer_name, sets_its_own_rate
from backend.training.schedules import fast_forward, make_custom_schedule, make_schedule
from backend.training.state import load_network_tensors, load_state, scheduled_steps
from backend.training.trackers import (
    Trackers,
    TrackerSettings,
    check_wandb_login,
    new_log_folder,
    tracker_kinds,
    tracker_settings,
)
from backend.training.trainer import Trainer


def assemble_trainer(configuration: Configuration, *, run: RunFolder, reporter: Reporter) -> Trainer:
    """A trainer that is ready to start, in one of its processes. configuration: complete, as a run folder holds it.

    Prints what the training will be. Raises StoppedByUser if a stop is requested meanwhile, and what its parts raise.
    """
    seed = _seed(configuration)
    data = load_data(configuration, seed=seed, processes=_process_count(), tell=is_first_process())
    _check_optimizer(configuration)
    check_device(configuration, training_device(_process_count()))
    facts, start = resume_facts(configuration, data), _start(configuration, data)
    trackers = _tracker_settings(configuration)
    log_folder = _log_folder(configuration) if is_first_process() else None
    accelerator = _accelerator(configuration, log_folder)
    reporter.update(
        log_folder=str(log_folder or ""), total_steps=data.steps.total_steps, total_epochs=data.steps.epochs
    )
    torch.manual_seed(seed)
    _stop_if_asked(reporter)

    set_up_device(configuration)
    transformer = load_model(configuration, device=accelerator.device)
    network = create_network(configuration, transformer, seed=seed)
    compile_model(configuration, transformer)
    _stop_if_asked(reporter)

    optimizer = _optimizer(configuration, network)
    scheduler = _scheduler(configuration, optimizer, total_steps=data.steps.total_steps)
    if is_first_process():
        print_summary(transformer, network, data, configuration)
    metadata = _metadata(configuration, data, optimizer)
    _keep_from_exchange(transformer)
    prepared, optimizer = accelerator.prepare(transformer, optimizer)
    buckets = configuration.timesteps.num_timestep_buckets
    trainer = Trainer(
        accelerator=accelerator,
        transformer=prepared,
        network=network,
        optimizer=optimizer,
        scheduler=scheduler,
        epoch_batches=data.epoch,
        epoch_uniforms=partial(data.uniforms, strata=buckets) if buckets else None,
        steps=data.steps,
        settings=LossSettings(noise_sampling(configuration), configuration.timesteps.guidance_scale),
        accumulation=configuration.schedule.gradient_accumulation_steps,
        max_grad_norm=configuration.optimizer.max_grad_norm,
        scale_weight_norms=configuration.network.scale_weight_norms,
        seed=seed,
        facts=facts,
        start=start,
        reporter=reporter,
    )
    _resume(configuration, trainer)
    if log_folder is not None:
        name = configuration.logging.log_tracker_name
        trainer.trackers = Trackers(
            accelerator,
            log_folder=log_folder,
            name=name,
            settings=trackers,
            hyperparameters=hyperparameters(configuration) if configuration.logging.log_config else None,
        )
        trainer.saver = Saver(
            folder=Path(configuration.saving.output_dir or run.checkpoints),
            name=configuration.saving.output_name,
            dtype=SAVE_DTYPES[configuration.saving.save_precision],
            plan=_save_plan(configuration),
            tensors=trainer.weights_to_save,
            metadata=metadata,
            write_state=trainer.save_state,
        )
    return trainer


def is_first_process() -> bool:
    """Whether this process is the one of all machines that saves and logs."""
    return os.environ.get("RANK", "0") == "0"


def noise_sampling(configuration: Configuration) -> NoiseSampling:
    """How noise levels are drawn."""
    options = configuration.timesteps
    return NoiseSampling(**{name: getattr(options, name) for name in NoiseSampling.__dataclass_fields__})


def _accelerator(configuration: Configuration, log_folder: Path | None) -> Accelerator:
    machines = configuration.machines
    handlers = [
        DistributedDataParallelKwargs(
            gradient_as_bucket_view=machines.ddp_gradient_as_bucket_view,
            static_graph=machines.ddp_static_graph,
            find_unused_parameters=bool(configuration.network.module_dropout),
        )
    ]
    if machines.ddp_timeout:
        handlers.append(InitProcessGroupKwargs(timeout=timedelta(minutes=machines.ddp_timeout)))
    processes = _process_count()
    accelerator = Accelerator(
        # Without a GPU accelerate connects processes only if it is told to use the CPU.
        cpu=processes > 1 and not torch.cuda.is_available(),
        mixed_precision=configuration.memory.mixed_precision,
        log_with=tracker_kinds(configuration.logging.log_with) if log_folder else None,
        project_dir=str(log_folder) if log_folder else None,
        kwargs_handlers=handlers,
    )
    if accelerator.num_processes != processes:
        raise UserError(
            f"{processes} processes were started, but accelerate connects {accelerator.num_processes}",
            hint="train with num_processes 1 on this machine",
        )
    return accelerator


def _process_count() -> int:
    """The processes of all machines, as the launcher tells."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _keep_from_exchange(transformer: torch.nn.Module) -> None:
    """Name what processes need not send each other at the start: all but what is trained is read from the same files.

    For the full-size model that is 26 GB. The attribute is torch's, see DistributedDataParallel.
    """
    tensors = [*transformer.named_parameters(), *transformer.named_buffers()]
    frozen = [name for name, tensor in tensors if not tensor.requires_grad]
    transformer._ddp_params_and_buffers_to_ignore = frozen


def _check_optimizer(configuration: Configuration) -> None:
    """Raise OptionError for an optimizer that cannot train so, before the model is loaded."""
    options, ratio = configuration.optimizer, configuration.network.loraplus_lr_ratio
    arguments = _optimizer_arguments(configuration)
    rates = (options.learning_rate, options.learning_rate * ratio) if ratio else (options.learning_rate,)
    check_optimizer(options.optimizer_type, arguments=arguments, rates=rates)
    schedule = configuration.schedule
    changes = schedule.lr_scheduler_type or schedule.lr_scheduler != "constant"
    if changes and sets_its_own_rate(options.optimizer_type, arguments):
        raise OptionError(
            f"adafactor with relative_step sets its own learning rate, but lr_scheduler is {schedule.lr_scheduler}",
            hint="choose constant, or add relative_step=False to optimizer_args",
            option="lr_scheduler",
        )


def _optimizer(configuration: Configuration, network: LoRANetwork) -> Optimizer:
    groups = network.parameter_groups(configuration.optimizer.learning_rate, configuration.network.loraplus_lr_ratio)
    arguments = _optimizer_arguments(configuration)
    return make_optimizer(configuration.optimizer.optimizer_type, groups, arguments=arguments)


def _optimizer_arguments(configuration: Configuration) -> dict:
    return parse_assignments(configuration.optimizer.optimizer_args, option="optimizer_args")


def _scheduler(configuration: Configuration, optimizer: Optimizer, *, total_steps: int) -> LRScheduler:
    settings = schedule_settings(configuration)
    if path := configuration.schedule.lr_scheduler_type:
        return make_custom_schedule(optimizer, path, arguments=settings.lr_scheduler_args)
    return make_schedule(optimizer, settings, total_steps=total_steps)


def _start(configuration: Configuration, data: TrainingData) -> StateRecord:
    """Where to go on; the beginning if nothing is resumed. Prints what has changed since.

    Raises OptionError for settings that do not fit the state, and for a state with nothing left to train.
    """
    if not configuration.saving.resume:
        return StateRecord(step=0)
    folder = Path(configuration.saving.resume)
    record = read_state_record(folder)
    if record.step is None:
        record = StateRecord(scheduled_steps(folder))
        _tell(f"warning: {folder} does not tell its step; its schedule is at {record.step}")
    for change in check_facts(record.facts, resume_facts(configuration, data), folder=folder):
        _tell(f"resume: {change}")
    if record.step >= data.steps.total_steps:
        raise OptionError(
            f"{folder}: is at step {record.step}, and the training has {data.steps.total_steps}",
            hint="raise max_train_steps or max_train_epochs",
            option="resume",
        )
    _tell(f"resume: after step {record.step} of {data.steps.total_steps}, from {folder}")
    return record


def _tell(line: str) -> None:
    """Print a line into the run's log, once for all processes."""
    if is_first_process():
        print(line, flush=True)


def _resume(configuration: Configuration, trainer: Trainer) -> None:
    """Give the trainer's parts the insides of the state."""
    if not configuration.saving.resume:
        return
    folder = Path(configuration.saving.resume)
    problems = trainer.network.load_state_dict(load_network_tensors(folder))
    if problems:
        raise OptionError(f"{folder}: {problems[0].message}", hint="resume with the same modules", option="resume")
    rates = [(group["lr"], group["initial_lr"]) for group in trainer.optimizer.param_groups]
    fresh = trainer.scheduler.state_dict()
    load_state(folder, trainer.resumable)
    now = json.loads(json.dumps(trainer.facts))
    if any(trainer.start.facts.get(name) != now[name] for name in MAY_CHANGE):
        trainer.scheduler.load_state_dict(fresh)
        for group, (rate, initial_rate) in zip(trainer.optimizer.param_groups, rates, strict=True):
            group["lr"], group["initial_lr"] = rate, initial_rate
        fast_forward(trainer.scheduler, trainer.start.step or 0)


def _metadata(
    configuration: Configuration, data: TrainingData, optimizer: Optimizer
) -> Callable[[int, int], dict[str, str]]:
    """The metadata of a file as a function of step and epoch."""
    record = training_record(
        configuration, data, optimizer=optimizer_name(optimizer, _optimizer_arguments(configuration))
    )
    spec, minimal = model_spec(configuration), configuration.metadata.no_metadata
    return lambda step, epoch: build_metadata(
        record, spec, steps=step, epoch=epoch, finished_at=time.time(), minimal=minimal
    )


def _save_plan(configuration: Configuration) -> SavePlan:
    return SavePlan(**{name: getattr(configuration.saving, name) for name in SavePlan.__dataclass_fields__})


def _tracker_settings(configuration: Configuration) -> TrackerSettings:
    logging = configuration.logging
    file = Path(logging.log_tracker_config) if logging.log_tracker_config else None
    return tracker_settings(file, wandb_run_name=logging.wandb_run_name)


def _log_folder(configuration: Configuration) -> Path:
    """A new folder for the event files, made before anything slow, so that TensorBoard finds it."""
    if "wandb" in tracker_kinds(configuration.logging.log_with):
        check_wandb_login()
    if configuration.logging.logging_dir is None:
        raise OptionError("no log folder is given", hint="name it with logging_dir", option="logging_dir")
    return new_log_folder(Path(configuration.logging.logging_dir), configuration.logging.log_prefix)


def _seed(configuration: Configuration) -> int:
    if configuration.schedule.seed is None:
        raise ValueError("a run's configuration has a seed; this one was not made by submit_training")
    return configuration.schedule.seed


def _stop_if_asked(reporter: Reporter) -> None:
    if reporter.is_requested("stop"):
        raise StoppedByUser("stopped while loading; nothing was trained yet")
