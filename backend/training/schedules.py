"""Learning rate schedules as torch's schedulers: those of the plan, or any class by its path."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from backend.errors import OptionError
from backend.plan.learning_rates import ScheduleSettings, make_factor
from backend.training.libraries import import_library


def make_schedule(optimizer: Optimizer, settings: ScheduleSettings, *, total_steps: int) -> LambdaLR:
    """A scheduler that is stepped once after each optimizer step; groups keep their own base rates.

    Raises OptionError for settings that make no schedule.
    """
    factors = [
        make_factor(settings, total_steps=total_steps, learning_rate=group["lr"]) for group in optimizer.param_groups
    ]
    return LambdaLR(optimizer, factors)


def make_custom_schedule(optimizer: Optimizer, path: str, *, arguments: Mapping[str, Any]) -> LRScheduler:
    """A scheduler of a class of torch.optim.lr_scheduler, or of any dotted path, made with these arguments alone.

    Raises OptionError if there is none, or it does not take them, or it wants a measure of success at each step.
    """
    module_name, _, class_name = path.rpartition(".")
    module = import_library(module_name or "torch.optim.lr_scheduler", option="lr_scheduler_type", value=path)
    kind = getattr(module, class_name, None)
    if not isinstance(kind, type):
        hint = "wanted a class of torch.optim.lr_scheduler, or module.Class"
        raise OptionError(
            f"lr_scheduler_type is {path}, but there is no such class", hint=hint, option="lr_scheduler_type"
        )
    if issubclass(kind, ReduceLROnPlateau):
        hint = "choose a schedule that goes by the step"
        raise OptionError(
            f"{path} wants a measure of success, which a training has not", hint=hint, option="lr_scheduler_type"
        )
    try:
        return kind(optimizer, **arguments)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"{path} does not take {dict(arguments)}: {error}",
            hint="mend lr_scheduler_args",
            option="lr_scheduler_args",
        ) from error


def fast_forward(scheduler: LRScheduler, steps: int) -> None:
    """Put a new scheduler where it is after that many steps, and its groups' rates with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch wants an optimizer step before each
        for _ in range(steps):
            scheduler.step()
