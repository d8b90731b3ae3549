"""Optimizer and schedule as the options choose them."""

from __future__ import annotations

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from backend.config.configuration import Configuration
from backend.config.network_args import parse_assignments
from backend.errors import OptionError
from backend.networks.network import Network
from backend.plan.plan import schedule_settings
from backend.training.optimizers import check_optimizer, make_optimizer, sets_its_own_rate
from backend.training.schedules import make_custom_schedule, make_schedule


def check_chosen_optimizer(configuration: Configuration) -> None:
    """Raise OptionError for an optimizer, or a schedule class, that cannot train so, before the model is loaded."""
    options, ratio = configuration.optimizer, configuration.network.loraplus_lr_ratio
    arguments = optimizer_arguments(configuration)
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
    if path := schedule.lr_scheduler_type:
        groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in rates]
        optimizer = make_optimizer(options.optimizer_type, groups, arguments=arguments)
        make_custom_schedule(optimizer, path, arguments=schedule_settings(configuration).lr_scheduler_args)


def chosen_optimizer(configuration: Configuration, network: Network) -> Optimizer:
    groups = network.parameter_groups(configuration.optimizer.learning_rate, configuration.network.loraplus_lr_ratio)
    arguments = optimizer_arguments(configuration)
    return make_optimizer(configuration.optimizer.optimizer_type, groups, arguments=arguments)


def optimizer_arguments(configuration: Configuration) -> dict:
    return parse_assignments(configuration.optimizer.optimizer_args, option="optimizer_args")


def chosen_schedule(configuration: Configuration, optimizer: Optimizer, *, total_steps: int) -> LRScheduler:
    settings = schedule_settings(configuration)
    if path := configuration.schedule.lr_scheduler_type:
        return make_custom_schedule(optimizer, path, arguments=settings.lr_scheduler_args)
    return make_schedule(optimizer, settings, total_steps=total_steps)
