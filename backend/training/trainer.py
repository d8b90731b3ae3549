"""The training loop: micro-batches into optimizer steps, with logging, saving and stopping on request."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from backend.errors import StoppedByUser
from backend.models.hunyuan_video.latent_scale import LATENT_SCALE
from backend.networks.lora import LoRANetwork
from backend.plan.steps import StepCount
from backend.runs.status import Reporter
from backend.training.batches import TrainingBatch
from backend.training.checkpoints import CheckpointSaver
from backend.training.flow_matching import (
    NoiseLevels,
    NoiseSampling,
    add_noise,
    draw_noise_levels,
    flow_matching_loss,
    loss_weights,
    micro_batch_generator,
    velocity,
)
from backend.training.trackers import Trackers


@dataclass(frozen=True)
class LossSettings:
    """How a loss comes about; the names are those of the options."""

    sampling: NoiseSampling
    weighting_scheme: str = "none"
    guidance_scale: float = 1.0


def batch_loss(
    transformer: nn.Module, batch: TrainingBatch, *, noise: Tensor, levels: NoiseLevels, settings: LossSettings
) -> Tensor:
    """The loss of one micro-batch at given noise and noise levels; all tensors on the transformer's device.

    noise: (B, 16, F, H, W) like the batch's latents.
    """
    latents = batch.latents * LATENT_SCALE
    prediction = transformer(
        add_noise(latents, noise, levels.sigmas),
        levels.timesteps,
        text_states=batch.text_states,
        text_mask=batch.text_mask,
        pooled_text=batch.pooled_text,
        guidance=torch.full_like(levels.timesteps, settings.guidance_scale),
    )
    weights = loss_weights(levels.timesteps, settings.weighting_scheme)
    return flow_matching_loss(prediction, velocity(latents, noise), weights=weights)


@dataclass(frozen=True)
class StepResult:
    """One optimizer step. loss: mean of its micro-batches. rates: learning rate of each group, as used."""

    loss: float
    gradient_norm: float
    rates: dict[str, float]


def optimizer_step(
    losses: Iterable[Tensor],
    *,
    accelerator: Accelerator,
    optimizer: Optimizer,
    scheduler: LRScheduler,
    parameters: list[nn.Parameter],
    accumulation: int,
    max_grad_norm: float,
) -> StepResult:
    """Backward through each loss as it comes, then one update.

    Losses are divided by `accumulation`, also where an epoch ends before there are that many. max_grad_norm: 0 for no
    limit. gradient_norm is the norm before it was limited.
    """
    values = []
    for loss in losses:
        accelerator.backward(loss / accumulation)
        values.append(loss.detach())
    norm = accelerator.clip_grad_norm_(parameters, max_grad_norm if max_grad_norm > 0 else math.inf)
    rates = {group.get("name", "unet"): group["lr"] for group in optimizer.param_groups}
    optimizer.step()
    scheduler.step()
    optimizer.zero_grad(set_to_none=True)
    return StepResult(loss=torch.stack(values).mean().item(), gradient_norm=float(norm), rates=rates)


@dataclass
class Trainer:
    """Everything a training needs, and the loop.

    epoch_batches: the batches of an epoch, counted from 1, as tensors on the CPU.
    """

    accelerator: Accelerator
    transformer: nn.Module
    network: LoRANetwork
    optimizer: Optimizer
    scheduler: LRScheduler
    epoch_batches: Callable[[int], Iterator[TrainingBatch]]
    steps: StepCount
    settings: LossSettings
    accumulation: int
    max_grad_norm: float
    seed: int
    saver: CheckpointSaver
    trackers: Trackers
    reporter: Reporter
    _step: int = field(default=0, init=False)
    _files: list[Path] = field(default_factory=list, init=False)

    def train(self) -> Path:
        """Train to the end and return the final LoRA file.

        Raises StoppedByUser when asked to stop; a checkpoint of the last step is saved before.
        """
        self.network.train()
        self._losses: deque[float] = deque(maxlen=self.steps.steps_per_epoch)
        self._report(phase="training", total_steps=self.steps.total_steps, total_epochs=self.steps.epochs)
        # tqdm's own line every half second is enough for a log file
        with tqdm(total=self.steps.total_steps, desc="steps", mininterval=0.5, smoothing=0.1) as bar:
            for epoch in range(1, self.steps.epochs + 1):
                self._train_epoch(epoch, bar)
        path = self._save(self.saver.save_final, epoch=self.steps.epochs)
        self._report(phase="done")
        return path

    def _train_epoch(self, epoch: int, bar: tqdm) -> None:
        batches = self.epoch_batches(epoch)
        first = (epoch - 1) * self.steps.batches_per_epoch
        for position in range(self.steps.steps_per_epoch):
            if self._step == self.steps.total_steps:  # a number of steps may end within an epoch
                break
            started = time.perf_counter()
            start = position * self.accumulation
            count = min(self.accumulation, self.steps.batches_per_epoch - start)
            result = self._one_step(batches, first_micro_batch=first + start, count=count)
            self._step += 1
            self._log_step(result, epoch=epoch, seconds=time.perf_counter() - started, bar=bar)
            self._after_step(epoch)
        last = epoch == self.steps.epochs
        self.trackers.log_epoch(self._average_loss, epoch=epoch)
        if self.saver.epoch_is_due(epoch, last=last):
            self._save(self.saver.save_epoch, epoch=epoch)

    def _one_step(self, batches: Iterator[TrainingBatch], *, first_micro_batch: int, count: int) -> StepResult:
        return optimizer_step(
            (self._loss(next(batches), index=first_micro_batch + i, last=i == count - 1) for i in range(count)),
            accelerator=self.accelerator,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            parameters=self.network.parameters(),
            accumulation=self.accumulation,
            max_grad_norm=self.max_grad_norm,
        )

    def _loss(self, batch: TrainingBatch, *, index: int, last: bool) -> Tensor:
        """The loss of one micro-batch; gradients of several processes are exchanged at the last of a step only."""
        generator = micro_batch_generator(self.seed, index)
        device = self.accelerator.device
        noise = torch.randn(batch.latents.shape, generator=generator).to(device)
        levels = draw_noise_levels(len(batch.latents), self.settings.sampling, generator=generator)
        levels = NoiseLevels(levels.sigmas.to(device), levels.timesteps.to(device))
        with nullcontext() if last else self.accelerator.no_sync(self.transformer), self.accelerator.autocast():
            return batch_loss(self.transformer, batch.to(device), noise=noise, levels=levels, settings=self.settings)

    @property
    def _average_loss(self) -> float:
        """The mean over the steps of one epoch, the last ones."""
        return sum(self._losses) / len(self._losses)

    def _log_step(self, result: StepResult, *, epoch: int, seconds: float, bar: tqdm) -> None:
        self._losses.append(result.loss)
        average = self._average_loss
        rates = {f"lr/{name}": rate for name, rate in result.rates.items()}
        self.trackers.log_step({"loss/current": result.loss, "loss/average": average, **rates}, step=self._step)
        self.reporter.add_metrics(
            step=self._step,
            epoch=epoch,
            loss=result.loss,
            average_loss=average,
            learning_rates=result.rates,
            gradient_norm=result.gradient_norm,
            seconds=seconds,
        )
        bar.set_postfix(avr_loss=f"{average:.4f}", refresh=False)
        bar.update()
        rate = bar.format_dict["rate"]  # smoothed steps per second, None at first
        seconds_per_step = 1 / rate if rate else seconds
        self._report(
            step=self._step,
            epoch=epoch,
            loss=result.loss,
            average_loss=average,
            seconds_per_step=seconds_per_step,
            time_left_s=seconds_per_step * (self.steps.total_steps - self._step),
        )

    def _after_step(self, epoch: int) -> None:
        """Save if a step's checkpoint is due; save and leave if somebody asked to stop."""
        last = self._step == self.steps.total_steps
        if self.reporter.is_requested("stop") and not last:
            path = self._save(self.saver.save_step, epoch=epoch)
            raise StoppedByUser(f"stopped after step {self._step} of {self.steps.total_steps}; saved {path}")
        if self.saver.step_is_due(self._step):
            self._save(self.saver.save_step, epoch=epoch)

    def _save(self, save: Callable[..., Path], *, epoch: int) -> Path:
        self._report(phase="saving")
        path = save(self.network.state_dict(), step=self._step, epoch=epoch)
        self._files.append(path)
        tqdm.write(f"saved {path}")
        self._report(phase="training", files=tuple(str(file) for file in self._files))
        return path

    def _report(self, **changes: object) -> None:
        self.reporter.update(**changes)
