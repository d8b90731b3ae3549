"""Puts a trainer together from a configuration: data, model, network, optimizer, trackers, and where to go on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from backend.commands.device import check_device, set_up_device, training_device
from backend.commands.model import compile_model, create_network, load_model
from backend.commands.optimization import check_chosen_optimizer, chosen_optimizer, chosen_schedule
from backend.commands.outputs import (
    add_outputs,
    chosen_tracker_settings,
    make_log_folder,
    sampler_of_run,
)
from backend.commands.processes import (
    is_first_process,
    keep_from_exchange,
    make_accelerator,
    process_count,
    sharding_of,
)
from backend.commands.records import print_summary, resume_facts
from backend.commands.resuming import find_start, resume, with_fetched_state
from backend.commands.samples import fitted_to
from backend.commands.training_data import load_data
from backend.config.configuration import Configuration
from backend.errors import StoppedByUser
from backend.plan.modules import check_in_channels
from backend.plan.saving import SamplePlan
from backend.runs.folder import RunFolder
from backend.runs.status import Reporter
from backend.training.loss import LossSettings
from backend.training.noise_sampling import NoiseSampling
from backend.training.sharding import average_gradients, shard_base_weights
from backend.training.trainer import Trainer


def assemble_trainer(configuration: Configuration, *, run: RunFolder, reporter: Reporter) -> Trainer:
    """A trainer that is ready to start, in one of its processes. configuration: complete, as a run folder holds it.

    Prints what the training will be. Raises StoppedByUser if a stop is requested meanwhile, and what its parts raise.
    """
    configuration = with_fetched_state(configuration, run)
    seed = _seed(configuration)
    data = load_data(configuration, seed=seed, processes=process_count(), tell=is_first_process())
    check_chosen_optimizer(configuration)
    check_device(configuration, training_device(process_count()))
    facts, start = resume_facts(configuration, data), find_start(configuration, data)
    trackers = chosen_tracker_settings(configuration)
    log_folder = make_log_folder(configuration) if is_first_process() else None
    accelerator = make_accelerator(configuration, log_folder)
    reporter.update(
        log_folder=str(log_folder or ""), total_steps=data.steps.total_steps, total_epochs=data.steps.epochs
    )
    torch.manual_seed(seed)
    _stop_if_asked(reporter)

    set_up_device(configuration)
    sharding = sharding_of(configuration)
    sampler = sampler_of_run(configuration, run, accelerator, seed=seed, all_take_part=sharding is not None)
    _stop_if_asked(reporter)
    transformer = load_model(configuration, device=torch.device("cpu") if sharding else accelerator.device)
    check_in_channels(transformer.shape, configuration.model.dit_in_channels, path=Path(configuration.model.dit or ""))
    sampler = fitted_to(sampler, transformer.shape) if sampler else None
    network = create_network(configuration, transformer, seed=seed)
    compile_model(configuration, transformer)
    if sharding:
        network.to(accelerator.device)
    _stop_if_asked(reporter)

    optimizer = chosen_optimizer(configuration, network)
    scheduler = chosen_schedule(configuration, optimizer, total_steps=data.steps.total_steps)
    if is_first_process():
        print_summary(transformer, network, data, configuration)
    if sharding:
        blocks = [*transformer.double_blocks, *transformer.single_blocks]
        device = accelerator.device
        shard_base_weights(transformer, blocks, trained=network.parameters(), device=device, sharding=sharding)
        prepared, optimizer = transformer, accelerator.prepare(optimizer)
    else:
        keep_from_exchange(transformer)
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
        settings=LossSettings(
            noise_sampling(configuration),
            configuration.timesteps.guidance_scale,
            continues_a_picture=transformer.shape.continues_a_picture,
        ),
        accumulation=configuration.schedule.gradient_accumulation_steps,
        max_grad_norm=configuration.optimizer.max_grad_norm,
        scale_weight_norms=configuration.network.scale_weight_norms,
        seed=seed,
        facts=facts,
        start=start,
        reporter=reporter,
        exchange=partial(average_gradients, network.parameters()) if sharding else None,
        sampler=sampler,
        sample_plan=SamplePlan.of(configuration.sampling),
    )
    resume(configuration, trainer)
    if log_folder is not None:
        add_outputs(trainer, configuration, run, data, log_folder=log_folder, tracker_settings=trackers)
    return trainer


def noise_sampling(configuration: Configuration) -> NoiseSampling:
    """How noise levels are drawn."""
    options = configuration.timesteps
    return NoiseSampling(**{name: getattr(options, name) for name in NoiseSampling.__dataclass_fields__})


def _seed(configuration: Configuration) -> int:
    if configuration.schedule.seed is None:
        raise ValueError("a run's configuration has a seed; this one was not made by submit_training")
    return configuration.schedule.seed


def _stop_if_asked(reporter: Reporter) -> None:
    if reporter.is_requested("stop"):
        raise StoppedByUser("stopped while loading; nothing was trained yet")
