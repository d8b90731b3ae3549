"""Puts a trainer together from a configuration: model, LoRA, data, optimizer, trackers."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from backend.config.configuration import Configuration
from backend.config.dataset import read_dataset_file
from backend.config.network_args import format_network_args, parse_assignments
from backend.dataset.batches import BucketGroup, count_batches, epoch_batches, group_into_buckets
from backend.dataset.cached import CachedItem
from backend.dataset.training_items import find_training_items
from backend.errors import DatasetError, OptionError, StoppedByUser
from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.networks.lora import LoRANetwork, create_lora
from backend.networks.metadata import ModelSpec, TrainingRecord, build_metadata
from backend.plan.modules import block_linears
from backend.plan.selection import ModuleState, select_modules, trained_modules
from backend.plan.steps import StepCount, count_steps
from backend.runs.folder import RunFolder
from backend.runs.status import Reporter
from backend.training.batches import TrainingBatch, read_batches
from backend.training.checkpoints import SAVE_DTYPES, CheckpointSaver
from backend.training.dataset_record import dataset_record
from backend.training.flow_matching import NoiseSampling
from backend.training.optimizers import check_optimizer, make_optimizer, optimizer_name
from backend.training.schedules import make_schedule
from backend.training.trackers import Trackers, check_wandb_login, new_log_folder, tracker_kinds
from backend.training.trainer import LossSettings, Trainer

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def assemble_trainer(configuration: Configuration, *, run: RunFolder, reporter: Reporter) -> Trainer:
    """A trainer that is ready to start. configuration: complete, as a run folder holds it.

    Prints what the training will be. Raises StoppedByUser if a stop is requested meanwhile, and what its parts raise.
    """
    data = load_data(configuration)
    arguments = parse_assignments(configuration.optimizer.optimizer_args, option="optimizer_args")
    check_optimizer(configuration.optimizer.optimizer_type, arguments=arguments)
    log_folder = _log_folder(configuration)
    accelerator = Accelerator(
        mixed_precision=configuration.memory.mixed_precision,
        log_with=tracker_kinds(configuration.logging.log_with),
        project_dir=str(log_folder),
    )
    reporter.update(log_folder=str(log_folder), total_steps=data.steps.total_steps, total_epochs=data.steps.epochs)
    torch.manual_seed(_seed(configuration))
    _stop_if_asked(reporter)

    transformer = load_model(configuration, device=accelerator.device)
    network = create_network(configuration, transformer)
    _stop_if_asked(reporter)

    groups = network.parameter_groups(configuration.optimizer.learning_rate, configuration.network.loraplus_lr_ratio)
    optimizer = make_optimizer(configuration.optimizer.optimizer_type, groups, arguments=arguments)
    scheduler = make_schedule(
        optimizer,
        configuration.schedule.lr_scheduler,
        warmup=configuration.schedule.lr_warmup_steps,
        total_steps=data.steps.total_steps,
    )
    record = training_record(configuration, data, optimizer=optimizer_name(optimizer, arguments))
    print_summary(transformer, network, data, configuration)
    transformer, optimizer = accelerator.prepare(transformer, optimizer)
    return Trainer(
        accelerator=accelerator,
        transformer=transformer,
        network=network,
        optimizer=optimizer,
        scheduler=scheduler,
        epoch_batches=data.epoch,
        steps=data.steps,
        settings=_loss_settings(configuration),
        accumulation=configuration.schedule.gradient_accumulation_steps,
        max_grad_norm=configuration.optimizer.max_grad_norm,
        seed=_seed(configuration),
        saver=_saver(configuration, record, run),
        trackers=Trackers(accelerator, log_folder=log_folder, name=configuration.logging.log_tracker_name),
        reporter=reporter,
    )


@dataclass(frozen=True)
class TrainingData:
    """The cached items of all datasets, and the steps that they make."""

    groups: Sequence[BucketGroup[CachedItem]]
    steps: StepCount
    seed: int
    records: Sequence[dict[str, Any]]

    @property
    def items_with_repeats(self) -> int:
        return sum(len(group.items) * group.num_repeats for group in self.groups)

    def epoch(self, epoch: int) -> Iterator[TrainingBatch]:
        """The batches of an epoch, counted from 1, as tensors."""
        return read_batches(epoch_batches(self.groups, seed=self.seed, epoch=epoch))


def load_data(configuration: Configuration) -> TrainingData:
    """What is cached of the dataset. Prints what is left out; raises DatasetError if nothing can be trained on."""
    if configuration.dataset.dataset_config is None:
        raise OptionError("no dataset is chosen", hint="name its file", option="dataset_config")
    file = read_dataset_file(Path(configuration.dataset.dataset_config))
    training = find_training_items(file.datasets)
    problems = [problem for each in training for problem in (*each.problems, *each.missing_problems())]
    for problem in problems:
        print(f"{problem.severity}: {problem}", flush=True)
    groups = group_into_buckets(file.datasets, [each.ready for each in training])
    if not groups:
        raise DatasetError("the dataset has nothing to train on", hint="see the lines above; cache it again")
    schedule = configuration.schedule
    steps = count_steps(
        count_batches(groups),
        accumulation=schedule.gradient_accumulation_steps,
        max_train_steps=schedule.max_train_steps,
        max_train_epochs=schedule.max_train_epochs,
    )
    records = [dataset_record(dataset) for dataset in file.datasets]
    return TrainingData(groups=groups, steps=steps, seed=_seed(configuration), records=records)


def load_model(configuration: Configuration, *, device: torch.device) -> HunyuanVideoTransformer:
    """The frozen transformer on its device, in the dtype that the options ask for."""
    if configuration.model.dit is None:
        raise OptionError("no transformer is chosen", hint="name its weights file", option="dit")
    default = "float32" if configuration.memory.mixed_precision == "no" else "bfloat16"
    dtype = DTYPES[configuration.model.dit_dtype or default]
    transformer = load_transformer(Path(configuration.model.dit), device=device, dtype=dtype)
    transformer.gradient_checkpointing = configuration.memory.gradient_checkpointing
    return transformer


def create_network(configuration: Configuration, transformer: HunyuanVideoTransformer) -> LoRANetwork:
    """The LoRA on the modules that the patterns select, its start drawn from the run's seed."""
    options = configuration.network
    decisions = select_modules(
        block_linears(transformer.shape),
        exclude_patterns=options.exclude_patterns,
        include_patterns=options.include_patterns,
    )
    if options.verbose:
        for decision in decisions:
            mark = "+" if decision.state is ModuleState.TRAINED else "-"
            print(f"{mark} {decision.module.name} ({decision.pattern or 'no pattern'})")
    return create_lora(
        transformer,
        [module.name for module in trained_modules(decisions)],
        rank=options.network_dim,
        alpha=options.network_alpha,
        dropout=options.network_dropout,
        generator=torch.Generator().manual_seed(_seed(configuration)),
    )


def training_record(configuration: Configuration, data: TrainingData, *, optimizer: str) -> TrainingRecord:
    """What the LoRA file will tell about this training."""
    network, schedule, timesteps = configuration.network, configuration.schedule, configuration.timesteps
    strings = format_network_args(configuration.values())
    return TrainingRecord(
        session_id=random.SystemRandom().randrange(2**32),
        training_started_at=time.time(),
        output_name=configuration.saving.output_name,
        learning_rate=configuration.optimizer.learning_rate,
        num_train_items=data.items_with_repeats,
        num_batches_per_epoch=data.steps.batches_per_epoch,
        num_epochs=data.steps.epochs,
        gradient_checkpointing=configuration.memory.gradient_checkpointing,
        gradient_checkpointing_cpu_offload=False,
        gradient_accumulation_steps=schedule.gradient_accumulation_steps,
        max_train_steps=data.steps.total_steps,
        lr_warmup_steps=schedule.lr_warmup_steps,
        lr_scheduler=schedule.lr_scheduler,
        base_model_version="hunyuan_video",
        network_module=network.network_module,
        network_dim=network.network_dim,
        network_alpha=network.network_alpha,
        network_dropout=network.network_dropout,
        mixed_precision=configuration.memory.mixed_precision,
        seed=_seed(configuration),
        training_comment=configuration.metadata.training_comment,
        optimizer=optimizer,
        max_grad_norm=configuration.optimizer.max_grad_norm,
        fp8_base=False,
        weighting_scheme=timesteps.weighting_scheme,
        logit_mean=0.0,
        logit_std=1.0,
        mode_scale=1.29,
        guidance_scale=timesteps.guidance_scale,
        timestep_sampling=timesteps.timestep_sampling,
        sigmoid_scale=timesteps.sigmoid_scale,
        discrete_flow_shift=timesteps.discrete_flow_shift,
        sd_model_name=Path(configuration.model.dit or "").name,
        vae_name=Path(configuration.model.vae).name if configuration.model.vae else None,
        datasets=data.records,
        network_args=dict(string.split("=", 1) for string in strings) if strings else None,
    )


def print_summary(
    transformer: HunyuanVideoTransformer, network: LoRANetwork, data: TrainingData, configuration: Configuration
) -> None:
    """What the training will be, in numbers that follow from the options."""
    base = sum(parameter.numel() for parameter in transformer.parameters()) - network.trainable_parameters
    options, steps = configuration.network, data.steps
    print(f"base: {base:,} parameters, {transformer.img_in.proj.weight.dtype}, {configuration.model.dit}")
    print(
        f"LoRA: {len(network.layers)} modules, rank {options.network_dim}, "
        f"{network.trainable_parameters:,} trainable parameters"
    )
    ratio = options.loraplus_lr_ratio
    rate = configuration.optimizer.learning_rate
    print(
        f"learning rate: down {rate:g}, up {rate * ratio:g} (LoRA+ {ratio:g})" if ratio else f"learning rate: {rate:g}"
    )
    for group in data.groups:
        frames = f"x{group.frame_count} frames" if group.frame_count else ""
        print(
            f"dataset {group.dataset_number}: {group.bucket[0]}x{group.bucket[1]}{frames}: {len(group.items)} items "
            f"x {group.num_repeats} repeats, {group.batch_count} batches"
        )
    print(f"{steps.batches_per_epoch} batches an epoch, {steps.epochs} epochs, {steps.total_steps} steps", flush=True)


def _log_folder(configuration: Configuration) -> Path:
    """A new folder for the event files, made before anything slow, so that TensorBoard finds it."""
    if "wandb" in tracker_kinds(configuration.logging.log_with):
        check_wandb_login()
    if configuration.logging.logging_dir is None:
        raise OptionError("no log folder is given", hint="name it with logging_dir", option="logging_dir")
    return new_log_folder(Path(configuration.logging.logging_dir), configuration.logging.log_prefix)


def _loss_settings(configuration: Configuration) -> LossSettings:
    timesteps = configuration.timesteps
    return LossSettings(
        sampling=NoiseSampling(timesteps.timestep_sampling, timesteps.discrete_flow_shift, timesteps.sigmoid_scale),
        weighting_scheme=timesteps.weighting_scheme,
        guidance_scale=timesteps.guidance_scale,
    )


def _saver(configuration: Configuration, record: TrainingRecord, run: RunFolder) -> CheckpointSaver:
    saving = configuration.saving
    return CheckpointSaver(
        folder=Path(saving.output_dir) if saving.output_dir else run.checkpoints,
        name=saving.output_name,
        dtype=SAVE_DTYPES[saving.save_precision],
        every_n_steps=saving.save_every_n_steps,
        every_n_epochs=saving.save_every_n_epochs,
        metadata=lambda step, epoch: build_metadata(
            record, ModelSpec(), steps=step, epoch=epoch, finished_at=time.time()
        ),
    )


def _seed(configuration: Configuration) -> int:
    if configuration.schedule.seed is None:
        raise ValueError("a run's configuration has a seed; this one was not made by submit_training")
    return configuration.schedule.seed


def _stop_if_asked(reporter: Reporter) -> None:
    if reporter.is_requested("stop"):
        raise StoppedByUser("stopped while loading; nothing was trained yet")
