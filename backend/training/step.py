"""One optimizer step: the losses of its micro-batches backward, gradients limited, weights changed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


@dataclass(frozen=True)
class StepResult:
    """One optimizer step in this process. losses: of its micro-batches, those that count, on the device.

    rates: the learning rate of each group, as used. was_left_out: the gradients were no numbers, so nothing changed.
    """

    losses: Tensor
    gradient_norm: float
    rates: dict[str, float]
    was_left_out: bool = False


def optimizer_step(
    losses: Iterable[tuple[Tensor, float]],
    *,
    accelerator: Accelerator,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    parameters: list[nn.Parameter],
    accumulation: int,
    max_grad_norm: float,
    exchange: Callable[[], None] | None = None,
) -> StepResult:
    """Backward through each loss as it comes, then one update.

    losses: each with its weight, 1, or 0 for one that is computed only to take part in the exchange of gradients. They
    are divided by `accumulation`, also where an epoch ends before there are that many. max_grad_norm: 0 for no limit.
    exchange: brings the gradients of all processes together where nothing else does.
    gradient_norm is the norm before it was limited. Where it is no number, weights and optimizer stay as they are; with
    fp16 the loss scaler sees to that, and such steps belong to its finding of the scale.
    """
    values = []
    for loss, weight in losses:
        accelerator.backward(loss * (weight / accumulation))
        if weight:
            values.append(loss.detach())
    if exchange:
        exchange()
    norm = float(accelerator.clip_grad_norm_(parameters, max_grad_norm if max_grad_norm > 0 else math.inf))
    rates = {group.get("name", "unet"): group["lr"] for group in optimizer.param_groups}
    is_good = math.isfinite(norm) or accelerator.scaler is not None
    if is_good:
        optimizer.step()
    scheduler.step()
    optimizer.zero_grad(set_to_none=True)
    stacked = torch.stack(values) if values else torch.zeros(0, device=accelerator.device)
    return StepResult(losses=stacked, gradient_norm=norm, rates=rates, was_left_out=not is_good)
