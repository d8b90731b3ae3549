"""Puts a trainer together from a configuration: data, model, network, optimizer, trackers, and where to go on."""

from __future__ import annotations

from functools import partial

import torch

from backend.commands.device import check_device, set_up_device, training_device
from backend.commands.model import load_trained_model
from backend.commands.optimization import check_chosen_optimizer, chosen_optimizer, chosen_schedule
from backend.commands.outputs import add_outputs, make_output_places, sampler_of_run
from backend.commands.processes import (
    is_first_process,
    make_accelerator,
    process_count,
    sharding_of,
    share_among_processes,
)
from backend.commands.records import print_summary, resume_facts
from backend.commands.resuming import find_start, resume, with_fetched_state
from backend.commands.training_data import TrainingData, load_data
from backend.config.configuration import Configuration
from backend.errors import StoppedByUser
from backend.models.hunyuan_video.latent_space import SPATIAL_COMPRESSION
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.plan.saving import SamplePlan
from backend.runs.folder import RunFolder
from backend.runs.status import Reporter
from backend.training.loss import LossSettings
from backend.training.noise_sampling import NoiseSampling, draw_noise_levels
from backend.training.sharding import average_gradients
from backend.training.trainer import Trainer


def assemble_trainer(configuration: Configuration, *, run: RunFolder, reporter: Reporter) -> Trainer:
    """A trainer that is ready to start, in one of its processes. configuration: complete, as a run folder holds it.

    Prints what the training will be. Raises StoppedByUser if a stop is requested meanwhile, and what its parts raise.
    """
    configuration = with_fetched_state(configuration, run)
    seed = _seed(configuration)
    data = load_data(configuration, seed=seed, processes=process_count(), tell=is_first_process())
    _check_before_loading(configuration, data)
    facts, start = resume_facts(configuration, data), find_start(configuration, data)
    places = make_output_places(configuration, run) if is_first_process() else None
    accelerator = make_accelerator(configuration, places.logs if places else None)
    reporter.update(total_steps=data.steps.total_steps, total_epochs=data.steps.epochs)
    if places:
        reporter.update(log_folder=str(places.logs))
    torch.manual_seed(seed)
    _stop_if_asked(reporter)

    set_up_device(configuration)
    sharding = sharding_of(configuration)
    sampler = sampler_of_run(configuration, run, accelerator, seed=seed, all_take_part=sharding is not None)
    _stop_if_asked(reporter)
    transformer, network = load_trained_model(
        configuration, device=accelerator.device, seed=seed, in_main_memory=sharding is not None
    )
    sampler = sampler.fitted_to(transformer.shape) if sampler else None
    _stop_if_asked(reporter)

    optimizer = chosen_optimizer(configuration, network)
    scheduler = chosen_schedule(configuration, optimizer, total_steps=data.steps.total_steps)
    if is_first_process():
        print_summary(transformer, network, data, configuration)
    prepared, optimizer = share_among_processes(accelerator, transformer, network, optimizer, sharding=sharding)
    trainer = Trainer(
        accelerator=accelerator,
        transformer=prepared,
        network=network,
        optimizer=optimizer,
        scheduler=scheduler,
        epoch_batches=data.epoch,
        epoch_uniforms=data.stratified(configuration.timesteps.num_timestep_buckets),
        steps=data.steps,
        settings=_loss_settings(configuration, transformer),
        accumulation=configuration.schedule.gradient_accumulation_steps,
        max_grad_norm=configuration.optimizer.max_grad_norm,
        scale_weight_norms=configuration.network.scale_weight_norms,
        seed=seed,
        nan_limit=configuration.optimizer.stop_after_nan_steps,
        facts=facts,
        start=start,
        reporter=reporter,
        exchange=partial(average_gradients, network.parameters()) if sharding else None,
        sampler=sampler,
        sample_plan=SamplePlan.of(configuration.sampling),
    )
    resume(configuration, trainer)
    if places is not None:
        add_outputs(trainer, configuration, data, places=places)
    return trainer


def _loss_settings(configuration: Configuration, transformer: HunyuanVideoTransformer) -> LossSettings:
    return LossSettings(
        noise_sampling(configuration),
        configuration.timesteps.guidance_scale,
        continues_a_picture=transformer.shape.continues_a_picture,
    )


def noise_sampling(configuration: Configuration) -> NoiseSampling:
    """How noise levels are drawn."""
    options = configuration.timesteps
    return NoiseSampling(**{name: getattr(options, name) for name in NoiseSampling.__dataclass_fields__})


def _check_before_loading(configuration: Configuration, data: TrainingData) -> None:
    """Raise OptionError for what could not be trained so; the plan cannot tell it, as torch is needed."""
    check_chosen_optimizer(configuration)
    _check_noise_levels(configuration, data)
    check_device(configuration, training_device(process_count()))


def _check_noise_levels(configuration: Configuration, data: TrainingData) -> None:
    """Raise OptionError if a range of timesteps keeps practically nothing to draw.

    For each size of picture as many are drawn as no batch has, so that a training does not find out in the middle.
    """
    strata, sampling = data.stratified(configuration.timesteps.num_timestep_buckets), noise_sampling(configuration)
    for width, height in {group.bucket for group in data.groups}:
        generator = torch.Generator().manual_seed(data.seed)
        draw_noise_levels(
            DRAWN_TO_CHECK,
            sampling,
            generator=generator,
            latent_size=(height // SPATIAL_COMPRESSION, width // SPATIAL_COMPRESSION),
            uniforms=torch.rand(DRAWN_TO_CHECK, generator=generator) if strata else None,
        )


DRAWN_TO_CHECK = 64


def _seed(configuration: Configuration) -> int:
    if configuration.schedule.seed is None:
        raise ValueError("a run's configuration has a seed; this one was not made by submit_training")
    return configuration.schedule.seed


def _stop_if_asked(reporter: Reporter) -> None:
    if reporter.is_requested("stop"):
        raise StoppedByUser("stopped while loading; nothing was trained yet")
