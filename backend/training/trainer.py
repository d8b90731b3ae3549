"""The training loop: micro-batches into optimizer steps, with logging, saving and stopping on request."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from backend.atomic_file import is_disk_full
from backend.errors import StoppedByUser, UserError
from backend.networks.network import Network
from backend.plan.resume import StateRecord
from backend.plan.saving import NO_SAMPLES, SamplePlan
from backend.plan.steps import StepCount
from backend.runs.status import Reporter
from backend.training.batches import TrainingBatch
from backend.training.checkpoints import Saver
from backend.training.flow_matching import micro_batch_generator
from backend.training.loss import LossSettings, batch_loss
from backend.training.noise_sampling import NoiseLevels, draw_noise_levels
from backend.training.optimizers import has_training_mode, optimizer_log_values, set_training_mode
from backend.training.pace import Pace
from backend.training.peak_memory import peak_memory
from backend.training.sampler import (
    Sample,
    Sampler,
    SamplingEnded,
    label_of_epoch,
    label_of_step,
)
from backend.training.shares import Processes, Share, shares_of_step
from backend.training.state import Resumable, save_state
from backend.training.step import StepResult, optimizer_step
from backend.training.trackers import Trackers
from backend.training.upload import Uploader


@dataclass(frozen=True)
class StepTotals:
    """One optimizer step over all processes. loss: mean of its micro-batches. items: how many it learned from.

    The others: somebody asked for it.
    """

    loss: float
    items: int
    stop: bool
    stop_after_epoch: bool
    save: bool
    sample: bool


@dataclass
class Trainer:
    """Everything a training needs, and the loop.

    epoch_batches: the batches of an epoch, counted from 1, at these places in it, as tensors on the CPU.
    epoch_uniforms: for the micro-batches of an epoch the uniform numbers that their noise levels come from, (B,) each;
    None where each draws its own. exchange: brings the gradients of all processes together where accelerate does not.
    nan_limit: after so many steps in a row that gave no number, it ends.
    facts: what the training is, kept in its states. start: where to go on.
    saver, trackers, uploader: of the first process only; None in the others. sampler: of the processes that sample,
    with the prompts that are theirs. sample_plan: the same in all.
    """

    accelerator: Accelerator
    transformer: nn.Module
    network: Network
    optimizer: Optimizer
    scheduler: LRScheduler
    epoch_batches: Callable[[int, Sequence[int]], Iterator[TrainingBatch]]
    epoch_uniforms: Callable[[int], Sequence[Tensor]] | None
    steps: StepCount
    settings: LossSettings
    accumulation: int
    max_grad_norm: float
    scale_weight_norms: float | None
    seed: int
    nan_limit: int
    facts: dict[str, Any]
    start: StateRecord
    reporter: Reporter
    exchange: Callable[[], None] | None = None
    trackers: Trackers | None = None
    saver: Saver | None = None
    uploader: Uploader | None = None
    sampler: Sampler | None = None
    sample_plan: SamplePlan = NO_SAMPLES
    _step: int = field(default=0, init=False)
    _bad_steps: int = field(default=0, init=False)
    _items: int = field(default=0, init=False)
    """How many items this process has learned from in the step."""

    def train(self) -> Path | None:
        """Train to the end and return the final LoRA file, in the first process.

        Raises StoppedByUser when asked to stop; checkpoint and state of the last step are saved before.
        """
        self._step = self.start.step or 0
        self._losses: deque[float] = deque(self.start.losses, maxlen=self.steps.steps_per_epoch)
        self._pace = Pace(time.monotonic())
        self._set_training(True)
        self._report(phase="training", total_steps=self.steps.total_steps, total_epochs=self.steps.epochs)
        first_epoch, first_position = divmod(self._step, self.steps.steps_per_epoch)
        # tqdm's own line every half second is enough for a log file
        bar = tqdm(
            total=self.steps.total_steps, initial=self._step, desc="steps", mininterval=0.5, smoothing=0.1,
            disable=not self.accelerator.is_local_main_process,
        )  # fmt: skip
        with bar:
            if self._step == 0 and self.sample_plan.at_first:
                self._sample(label=label_of_epoch(0))
            for epoch in range(first_epoch + 1, self.steps.epochs + 1):
                self._train_epoch(epoch, bar, first_position=first_position)
                first_position = 0
        self._save(lambda saver: saver.save_final(step=self._step, epoch=self.steps.epochs))
        self._report(phase="done")
        return self.saver.saved[-1] if self.saver else None

    def save_state(self, folder: Path) -> None:
        """Write the state of the training as it stands."""
        record = StateRecord(self._step, tuple(self._losses), self.facts)
        save_state(folder, self.network.state_dict(), self.resumable, record=record)

    def weights_to_save(self) -> dict[str, Tensor]:
        """The network's state dict as a LoRA file wants it."""
        with self._weights_in_use():
            weights = self.network.state_dict()
            return {name: tensor.clone() for name, tensor in weights.items()} if self._averages else weights

    @contextmanager
    def _weights_in_use(self) -> Iterator[None]:
        """The network as it is to be used: without dropout, and at the average where the optimizer keeps one.

        Schedule-free optimizers train at another point than that average. Going to and fro rounds, so the training's
        own numbers are put back: saving and sampling change nothing.
        """
        kept = {name: tensor.clone() for name, tensor in self.network.state_dict().items()} if self._averages else {}
        self._set_training(False)
        try:
            yield
        finally:
            self._set_training(True)
            for name, tensor in self.network.state_dict().items() if kept else ():
                tensor.copy_(kept[name])

    @property
    def _averages(self) -> bool:
        return has_training_mode(self.optimizer)

    @property
    def resumable(self) -> Resumable:
        return Resumable(self.optimizer, self.scheduler, self.accelerator.scaler)

    def _train_epoch(self, epoch: int, bar: tqdm, *, first_position: int) -> None:
        end = min(self.steps.steps_per_epoch, self.steps.total_steps - (epoch - 1) * self.steps.steps_per_epoch)
        shares = [shares_of_step(position, self.steps, self._processes) for position in range(first_position, end)]
        batches = self.epoch_batches(epoch, [share.index for step_shares in shares for share in step_shares])
        uniforms = self.epoch_uniforms(epoch) if self.epoch_uniforms else None
        stop = False
        for step_shares in shares:
            totals = self._train_step(batches, step_shares, epoch=epoch, uniforms=uniforms, bar=bar)
            is_last = step_shares is shares[-1]
            stop = totals.stop or (is_last and totals.stop_after_epoch)
            if stop and not is_last:
                self._stop(epoch)
            if totals.save and not stop:
                self._save_as_asked(epoch)
            self._sample_if_due(epoch, asked=totals.sample, epoch_ends=is_last)
        if self.trackers:
            self.trackers.log_epoch(self._average_loss, epoch=epoch)
        last = epoch == self.steps.epochs
        if self.saver and self.saver.plan.epoch_is_due(epoch, last=last):
            self._save(lambda saver: saver.save_epoch(step=self._step, epoch=epoch), may_fail=True)
        if stop and not last:
            self._stop(epoch)

    def _train_step(
        self,
        batches: Iterator[TrainingBatch],
        shares: Sequence[Share],
        *,
        epoch: int,
        uniforms: Sequence[Tensor] | None,
        bar: tqdm,
    ) -> StepTotals:
        """One optimizer step, logged and saved where that is due."""
        started = time.perf_counter()
        self._items = 0
        result = optimizer_step(
            self._weighted_losses(batches, shares, epoch=epoch, uniforms=uniforms),
            accelerator=self.accelerator,
            optimizer=self.optimizer,
            scheduler=self.scheduler,
            parameters=self.network.parameters(),
            accumulation=self.accumulation,
            max_grad_norm=self.max_grad_norm,
            exchange=self.exchange,
        )
        norms = self.network.limit_weight_norms(self.scale_weight_norms) if self.scale_weight_norms else None
        self._step += 1
        totals = self._totals(result)
        if math.isfinite(totals.loss):
            self._losses.append(totals.loss)
        extra = optimizer_log_values(self.optimizer) | (norms.log_values() if norms else {})
        seconds = time.perf_counter() - started
        self._log_step(result, totals, extra, epoch=epoch, seconds=seconds, bar=bar)
        self._count_bad_step(is_bad=result.was_left_out or not math.isfinite(totals.loss), epoch=epoch)
        if self.saver and self.saver.plan.step_is_due(self._step):
            self._save(lambda saver: saver.save_step(step=self._step, epoch=epoch), may_fail=True)
        return totals

    def _weighted_losses(
        self,
        batches: Iterator[TrainingBatch],
        shares: Sequence[Share],
        *,
        epoch: int,
        uniforms: Sequence[Tensor] | None,
    ) -> Iterator[tuple[Tensor, float]]:
        """The losses of a step in this process, one by one, each with its weight."""
        first = (epoch - 1) * self.steps.batches_per_epoch
        for share in shares:
            own = uniforms[share.index] if uniforms else None
            batch = next(batches)
            self._items += len(batch.latents) * int(share.counts)
            loss = self._loss(batch, index=first + share.index, uniforms=own, last=share is shares[-1])
            yield loss, float(share.counts)

    def _loss(self, batch: TrainingBatch, *, index: int, uniforms: Tensor | None, last: bool) -> Tensor:
        """The loss of one micro-batch, counted from the beginning of the training.

        All its random numbers follow from the seed and that count. Gradients of several processes are exchanged at the
        last of a step only.
        """
        generator = micro_batch_generator(self.seed, index)
        device = self.accelerator.device
        noise = torch.randn(batch.latents.shape, generator=generator).to(device)
        height, width = batch.latents.shape[-2:]
        levels = draw_noise_levels(
            len(batch.latents), self.settings.sampling, generator=generator, latent_size=(height, width),
            uniforms=uniforms,
        )  # fmt: skip
        levels = NoiseLevels(levels.sigmas.to(device), levels.timesteps.to(device))
        torch.manual_seed(generator.initial_seed() + 1)  # dropout draws from the device's own generator
        with nullcontext() if last else self.accelerator.no_sync(self.transformer), self.accelerator.autocast():
            return batch_loss(self.transformer, batch.to(device), noise=noise, levels=levels, settings=self.settings)

    def _totals(self, result: StepResult) -> StepTotals:
        """Loss, items and wishes over all processes, exchanged at once."""
        wishes = [self.reporter.is_requested(what) for what in ("stop", "stop_after_epoch", "save", "sample")]
        values = [result.losses.sum(), len(result.losses), self._items, *wishes]
        sums = torch.tensor([float(value) for value in values], device=self.accelerator.device)
        loss_sum, count, items, *asked = self.accelerator.reduce(sums, reduction="sum").tolist()
        return StepTotals(loss_sum / count, int(items), *map(bool, asked))

    def _count_bad_step(self, *, is_bad: bool, epoch: int) -> None:
        """End the training after too many steps in a row without a number; what they would change was left out."""
        self._bad_steps = self._bad_steps + 1 if is_bad else 0
        if not is_bad:
            return
        if self.accelerator.is_main_process:
            tqdm.write(f"warning: step {self._step} has no number as loss or gradient; it changes nothing")
        if self._bad_steps < self.nan_limit:
            return
        if all(tensor.isfinite().all() for tensor in self.network.state_dict().values()):
            self._save(lambda saver: saver.save_now(step=self._step, epoch=epoch), may_fail=True)
        raise UserError(
            f"the loss was no number in {self._bad_steps} steps in a row, up to step {self._step}",
            hint="lower the learning rate, or choose bf16 in place of fp16; what was learned before is saved",
            cause="loss_not_finite",
            parameters={"count": self._bad_steps, "step": self._step},
        )

    @property
    def _processes(self) -> Processes:
        return Processes(self.accelerator.process_index, self.accelerator.num_processes)

    @property
    def _average_loss(self) -> float:
        """The mean over the steps of one epoch, the last ones; NaN before any had a number."""
        return sum(self._losses) / len(self._losses) if self._losses else math.nan

    def _log_step(
        self, result: StepResult, totals: StepTotals, extra: dict[str, float], *, epoch: int, seconds: float, bar: tqdm
    ) -> None:
        loss, average = totals.loss, self._average_loss
        if self.trackers:
            rates = {f"lr/{name}": rate for name, rate in result.rates.items()}
            values = {"loss/current": loss, "loss/average": average, **rates, **extra}
            self.trackers.log_step(values, step=self._step)
        self.reporter.add_metrics(
            step=self._step,
            epoch=epoch,
            loss=loss,
            average_loss=average,
            learning_rates=result.rates,
            gradient_norm=result.gradient_norm,
            items=totals.items,
            seconds=seconds,
        )
        bar.set_postfix(avr_loss=f"{average:.4f}", refresh=False)
        bar.update()
        seconds_per_step = self._pace.step_done(time.monotonic())
        self._report(
            step=self._step,
            epoch=epoch,
            loss=loss,
            average_loss=average,
            seconds_per_step=seconds_per_step,
            time_left_s=seconds_per_step * (self.steps.total_steps - self._step),
            memory=peak_memory(self.accelerator.device),
        )

    def _save_as_asked(self, epoch: int) -> None:
        self.reporter.answer("save")
        self._save(lambda saver: saver.save_now(step=self._step, epoch=epoch), may_fail=True)

    def _stop(self, epoch: int) -> None:
        """Save what going on needs, and leave."""
        self._save(lambda saver: saver.save_now(step=self._step, epoch=epoch))
        step, total = self._step, self.steps.total_steps
        if self.saver is None:
            raise StoppedByUser(f"stopped after step {step} of {total}")
        raise StoppedByUser(f"stopped after step {step} of {total}; resume from {self.saver.saved[-1]}")

    def _sample_if_due(self, epoch: int, *, asked: bool, epoch_ends: bool) -> None:
        if asked:
            self.reporter.answer("sample")
            if self.sample_plan == NO_SAMPLES:
                if self.accelerator.is_main_process:
                    tqdm.write("warning: samples were asked for, but this training has no prompts, or no time for them")
                return
        if self.sample_plan.step_is_due(self._step) or asked:
            self._sample(label=label_of_step(self._step))
        elif epoch_ends and self.sample_plan.epoch_is_due(epoch):
            self._sample(label=label_of_epoch(epoch))

    def _sample(self, *, label: str) -> None:
        """Make samples, each process those of its prompts, and show them in the logs."""
        self._report(phase="sampling")
        samples: list[Sample] = []
        if self.sampler:
            transformer = self.accelerator.unwrap_model(self.transformer)
            facts = {"step": str(self._step), "lora": self.sampler.name}
            with self._weights_in_use(), suppress(SamplingEnded), self._full_disk_told():
                samples = self.sampler.make(transformer, label=label, facts=facts, tell=self._told_while_sampling)
        samples = sorted(gather_object(samples), key=lambda sample: sample.index)
        for sample in samples if self.saver else ():
            tqdm.write(f"sample {sample.path}")
        if self.trackers and samples:
            self.trackers.log_samples(samples, step=self._step)
        self._report(phase="training", message="")

    @contextmanager
    def _full_disk_told(self) -> Iterator[None]:
        """Samples that cannot be written do not end the training."""
        try:
            yield
        except OSError as error:
            if not is_disk_full(error):
                raise
            self._tell_trouble("disk_full", f"step {self._step}: no samples: {error}")

    def _told_while_sampling(self, words: str) -> None:
        self._report(message=words)
        if self.reporter.is_requested("stop") and self.exchange is None:  # split weights need all processes to the end
            raise SamplingEnded

    def _save(self, save: Callable[[Saver], object], *, may_fail: bool = False) -> None:
        """Save in the first process. may_fail: on a full disk the training goes on without this checkpoint."""
        if self.saver is None:
            return
        self._report(phase="saving")
        before = list(self.saver.saved)
        try:
            save(self.saver)
        except UserError as error:
            if not (may_fail and error.cause == "disk_full"):
                raise
            self._tell_trouble("disk_full", f"step {self._step}: {error.problems[0].message}")
        for path in self.saver.saved:
            if path not in before:
                tqdm.write(f"saved {path}")
                if self.uploader:
                    self.uploader.add(path)
        self._report(phase="training", files=tuple(str(file) for file in self.saver.saved))

    def _tell_trouble(self, identity: str, message: str) -> None:
        tqdm.write(f"warning: the training goes on: {message}")
        self.reporter.trouble(identity, message)

    def _set_training(self, training: bool) -> None:
        self.network.train(training)
        set_training_mode(self.optimizer, training)

    def _report(self, **changes: object) -> None:
        self.reporter.update(**changes)
