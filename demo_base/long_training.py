"""A training of hours that can be stopped at any time and goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

Loss = Callable[[torch.Generator], Mapping[str, Tensor]]
"""The losses of one step, the first of them the one that is minimised."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast. The rate rises over `warmup`, stays, and falls to 0 over the last `decay` of the steps.

    More steps may be asked for when going on, as long as the fall has not begun.
    """

    steps: int
    learning_rate: float
    seed: int
    warmup: int = 100
    decay: float = 0.25
    ema: float = 0.999
    save_every_s: float = 120.0

    def rate(self, step: int) -> float:
        left = (self.steps - step) / (self.decay * self.steps)
        return self.learning_rate * max(0.0, min(1.0, (step + 1) / self.warmup, left))


def train(module: nn.Module, loss: Loss, plan: Plan, *, optimizer: torch.optim.Optimizer, state_file: Path) -> None:
    """Train the module and leave it with the mean weights of its last steps.

    The state file holds weights, their mean, the optimizer and the step; a step's random numbers follow from seed and
    step, so that a training that was cut off gives what an uncut one gives.
    """
    averages = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    start = _resume(module, averages, optimizer, state_file)
    saved_at, seen = time.monotonic(), []
    for step in range(start, plan.steps):
        generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
        seen.append(_step(module, loss, optimizer, generator, rate=plan.rate(step)))
        _average(averages, module, decay=min(plan.ema, (1 + step) / (10 + step)))
        if (step + 1) % 50 == 0:
            _report(step + 1, plan.steps, seen)
            seen = []
        if time.monotonic() - saved_at > plan.save_every_s or step + 1 == plan.steps:
            _save(module, averages, optimizer, step + 1, state_file)
            saved_at = time.monotonic()
    module.load_state_dict(averages)


def mean_weights(state_file: Path) -> dict[str, Tensor]:
    """The mean weights that a training has reached."""
    return torch.load(state_file, weights_only=True)["averages"]


def _step(module: nn.Module, loss: Loss, optimizer: torch.optim.Optimizer, generator: torch.Generator, *, rate: float):
    for group in optimizer.param_groups:
        group["lr"] = rate
    losses = loss(generator)
    next(iter(losses.values())).backward()
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {name: value.item() for name, value in losses.items()}


@torch.no_grad()
def _average(averages: dict[str, Tensor], module: nn.Module, *, decay: float) -> None:
    for name, tensor in module.state_dict().items():
        averages[name].lerp_(tensor, 1 - decay)


def _report(step: int, steps: int, seen: list[dict[str, float]]) -> None:
    means = {name: sum(each[name] for each in seen) / len(seen) for name in seen[0]}
    figures = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
    print(f"{time.strftime('%H:%M:%S')}  step {step} of {steps}  {figures}", flush=True)


def _resume(module: nn.Module, averages: dict[str, Tensor], optimizer: torch.optim.Optimizer, file: Path) -> int:
    if not file.is_file():
        return 0
    state = torch.load(file, weights_only=True)
    module.load_state_dict(state["weights"])
    averages.update(state["averages"])
    optimizer.load_state_dict(state["optimizer"])
    print(f"goes on at step {state['step']}", flush=True)
    return state["step"]


def _save(module: nn.Module, averages: dict[str, Tensor], optimizer: torch.optim.Optimizer, step: int, file: Path):
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.unfinished")
    state = {"weights": module.state_dict(), "averages": averages, "optimizer": optimizer.state_dict(), "step": step}
    torch.save(state, unfinished)
    unfinished.replace(file)
