"""Learning rate schedules: the factor on the learning rate at each optimizer step."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def make_schedule(optimizer: Optimizer, name: str, *, warmup: int | float, total_steps: int) -> LambdaLR:
    """A torch scheduler that is stepped once after each optimizer step; groups keep their own base rates."""
    return LambdaLR(optimizer, schedule_factor(name, warmup=warmup_steps(warmup, total_steps), total_steps=total_steps))


def warmup_steps(warmup: int | float, total_steps: int) -> int:
    """Warm-up as a number of steps; a float is a ratio of all steps."""
    return int(warmup * total_steps) if isinstance(warmup, float) else warmup


def schedule_factor(name: str, *, warmup: int, total_steps: int) -> Callable[[int], float]:
    """The factor on the learning rate as a function of the step, counted from 0.

    During the warm-up it rises linearly from 0. Then: constant and constant_with_warmup stay at 1, linear falls to 0
    at the last step, cosine falls to 0 along half a cosine. Raises ValueError for another name.
    """
    shapes: dict[str, Callable[[float], float]] = {
        "constant": lambda part: 1.0,
        "constant_with_warmup": lambda part: 1.0,
        "linear": lambda part: 1.0 - part,
        "cosine": lambda part: 0.5 * (1.0 + math.cos(math.pi * part)),
    }
    if name not in shapes:
        raise ValueError(f"no schedule is called {name}")
    shape = shapes[name]

    def factor(step: int) -> float:
        if step < warmup:
            return step / max(1, warmup)
        return shape(min(1.0, (step - warmup) / max(1, total_steps - warmup)))

    return factor
