"""How many steps and epochs a training has; the plan and the trainer count with the same function."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class StepCount:
    """Steps are optimizer steps.

    micro_batches_per_step: of all processes together; the last step of an epoch may have less.
    """

    batches_per_epoch: int
    steps_per_epoch: int
    total_steps: int
    epochs: int
    micro_batches_per_step: int


def count_steps(
    batches_per_epoch: int, *, accumulation: int, max_train_steps: int, max_train_epochs: int | None, processes: int = 1
) -> StepCount:
    """Steps and epochs for that many batches; the last step of an epoch takes what is left of its batches.

    Every process accumulates that many micro-batches, so two processes are one with twice the accumulation.
    max_train_epochs overrides max_train_steps. Raises ValueError without a batch.
    """
    if batches_per_epoch < 1:
        raise ValueError(f"{batches_per_epoch} batches per epoch")
    micro_batches_per_step = accumulation * processes
    steps_per_epoch = math.ceil(batches_per_epoch / micro_batches_per_step)
    total_steps = max_train_epochs * steps_per_epoch if max_train_epochs else max_train_steps
    return StepCount(
        batches_per_epoch=batches_per_epoch,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        epochs=math.ceil(total_steps / steps_per_epoch),
        micro_batches_per_step=micro_batches_per_step,
    )
