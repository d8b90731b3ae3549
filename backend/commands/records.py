"""What a training tells of itself: the metadata of its LoRA files, the facts in its states, the summary in its log."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from backend.commands.training_data import TrainingData
from backend.config.configuration import Configuration
from backend.config.network_args import format_network_args
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.networks.metadata import ModelSpec, TrainingRecord
from backend.networks.network import Network

SCHEDULE_FACTS = (
    "lr_scheduler",
    "lr_scheduler_type",
    "lr_scheduler_args",
    "lr_warmup_steps",
    "lr_decay_steps",
    "lr_scheduler_num_cycles",
    "lr_scheduler_power",
    "lr_scheduler_timescale",
    "lr_scheduler_min_lr_ratio",
)
_NOT_LOGGED = {"dit", "vae", "text_encoder1", "text_encoder2", "base_weights", "network_weights"}
_NOT_LOGGED |= {"output_dir", "logging_dir", "dataset_config", "resume", "log_tracker_config"}

NETWORK_FACTS = (
    "network_module",
    "network_dim",
    "network_alpha",
    "factor",
    "network_dropout",
    "rank_dropout",
    "module_dropout",
    "exclude_patterns",
    "include_patterns",
    "scale_weight_norms",
)


def training_record(configuration: Configuration, data: TrainingData, *, optimizer: str) -> TrainingRecord:
    """What the LoRA file will tell about this training."""
    network, schedule, timesteps = configuration.network, configuration.schedule, configuration.timesteps
    memory = configuration.memory
    strings = format_network_args(configuration.values())
    return TrainingRecord(
        session_id=random.SystemRandom().randrange(2**32),
        training_started_at=time.time(),
        output_name=configuration.saving.output_name,
        learning_rate=configuration.optimizer.learning_rate,
        num_train_items=data.items_with_repeats,
        num_batches_per_epoch=data.steps.batches_per_epoch,
        num_epochs=data.steps.epochs,
        gradient_checkpointing=memory.gradient_checkpointing,
        gradient_checkpointing_cpu_offload=memory.gradient_checkpointing_cpu_offload,
        gradient_accumulation_steps=schedule.gradient_accumulation_steps,
        max_train_steps=data.steps.total_steps,
        lr_warmup_steps=schedule.lr_warmup_steps,
        lr_scheduler=schedule.lr_scheduler_type or schedule.lr_scheduler,
        base_model_version="hunyuan_video",
        network_module=network.network_module,
        network_dim=network.network_dim,
        network_alpha=network.network_alpha,
        network_dropout=network.network_dropout,
        mixed_precision=memory.mixed_precision,
        seed=data.seed,
        training_comment=configuration.metadata.training_comment,
        optimizer=optimizer,
        max_grad_norm=configuration.optimizer.max_grad_norm,
        fp8_base=memory.fp8_base or memory.fp8_scaled,
        weighting_scheme=timesteps.weighting_scheme,
        logit_mean=timesteps.logit_mean,
        logit_std=timesteps.logit_std,
        mode_scale=timesteps.mode_scale,
        guidance_scale=timesteps.guidance_scale,
        timestep_sampling=timesteps.timestep_sampling,
        sigmoid_scale=timesteps.sigmoid_scale,
        discrete_flow_shift=timesteps.discrete_flow_shift,
        sd_model_name=Path(configuration.model.dit or "").name,
        vae_name=Path(configuration.model.vae).name if configuration.model.vae else None,
        datasets=data.records,
        network_args=dict(string.split("=", 1) for string in strings) if strings else None,
    )


def model_spec(configuration: Configuration) -> ModelSpec:
    """What the user wants written into the modelspec keys."""
    metadata, timesteps = configuration.metadata, configuration.timesteps
    return ModelSpec(
        title=metadata.metadata_title,
        architecture=metadata.metadata_arch,
        resolution=metadata.metadata_reso,
        author=metadata.metadata_author,
        description=metadata.metadata_description,
        license=metadata.metadata_license,
        tags=metadata.metadata_tags,
        min_timestep=timesteps.min_timestep,
        max_timestep=timesteps.max_timestep,
    )


def hyperparameters(configuration: Configuration) -> dict[str, str | int | float | bool]:
    """The options as trackers show them: without paths of models and folders, and without what is not set."""
    values = {name: value for name, value in configuration.values().items() if name not in _NOT_LOGGED}
    return {
        name: str(value) if isinstance(value, list) else value for name, value in values.items() if value is not None
    }


def resume_facts(configuration: Configuration, data: TrainingData) -> dict[str, Any]:
    """What a training is, for its states: with all of it the same, it goes on as if it had never stopped."""
    values = configuration.values()
    schedule = {name: values[name] for name in SCHEDULE_FACTS}
    if schedule["lr_scheduler"] not in ("constant", "constant_with_warmup") or schedule["lr_scheduler_type"]:
        schedule["total_steps"] = data.steps.total_steps
    ratio = configuration.network.loraplus_lr_ratio
    return {
        **{name: values[name] for name in NETWORK_FACTS},
        "dit": Path(configuration.model.dit or "").name,
        "base_weights": [Path(path).name for path in configuration.network.base_weights],
        "optimizer_type": configuration.optimizer.optimizer_type,
        "optimizer_args": configuration.optimizer.optimizer_args,
        "loraplus": ratio is not None,
        "loraplus_lr_ratio": ratio,
        "learning_rate": configuration.optimizer.learning_rate,
        "max_grad_norm": configuration.optimizer.max_grad_norm,
        "schedule": schedule,
        "timesteps": configuration.timesteps.model_dump(exclude={"show_timesteps"}),
        "micro_batches_per_step": data.steps.micro_batches_per_step,
        "dataset": data.facts,
        "seed": data.seed,
    }


def print_summary(
    transformer: HunyuanVideoTransformer, network: Network, data: TrainingData, configuration: Configuration
) -> None:
    """What the training will be, in numbers that follow from the options."""
    base = sum(parameter.numel() for parameter in transformer.parameters()) - network.trainable_parameters
    options, steps = configuration.network, data.steps
    print(f"base: {base:,} parameters, {transformer.img_in.proj.weight.dtype}, {configuration.model.dit}")
    if swapped := transformer.weight_ring.summary():
        print(f"swapped: {swapped}")
    ranks = sorted({layer.rank for layer in network.layers.values()})
    rank = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"
    print(
        f"network: {options.network_module}, {len(network.layers)} modules, rank {rank}, "
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
