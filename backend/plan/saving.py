"""When a training saves LoRA files and states and makes samples, which older ones go, and what all of it comes to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from backend.config.schema import SamplingOptions, SavingOptions
from backend.plan.steps import StepCount


@dataclass(frozen=True)
class SavePlan:
    """When to save and how much to keep; the names are those of the options. None: never, or everything."""

    save_every_n_steps: int | None = None
    save_every_n_epochs: int | None = None
    save_last_n_steps: int | None = None
    save_last_n_epochs: int | None = None
    save_last_n_steps_state: int | None = None
    save_last_n_epochs_state: int | None = None
    save_state: bool = False
    save_state_on_train_end: bool = False

    @classmethod
    def of(cls, options: SavingOptions) -> SavePlan:
        """The plan that the options make."""
        return cls(**{name: getattr(options, name) for name in cls.__dataclass_fields__})

    def step_is_due(self, step: int) -> bool:
        return self.save_every_n_steps is not None and step % self.save_every_n_steps == 0

    def epoch_is_due(self, epoch: int, *, last: bool) -> bool:
        """At the end of the last epoch only the final file is written."""
        return self.save_every_n_epochs is not None and epoch % self.save_every_n_epochs == 0 and not last

    def old_step(self, step: int, *, state: bool = False) -> int | None:
        """The step whose checkpoint (or state) goes when that of `step` was saved.

        Checkpoints stay while they are at most save_last_n_steps old: with one every 10 steps and 30 to keep, step 50
        ends step 10.
        """
        kept = self.save_last_n_steps_state if state and self.save_last_n_steps_state else self.save_last_n_steps
        if not kept or not self.save_every_n_steps:
            return None
        old = (step - kept - 1) // self.save_every_n_steps * self.save_every_n_steps
        return old if old > 0 else None

    def old_epoch(self, epoch: int, *, state: bool = False) -> int | None:
        """The epoch whose checkpoint (or state) goes when that of `epoch` was saved: the last n files stay."""
        kept = self.save_last_n_epochs_state if state and self.save_last_n_epochs_state else self.save_last_n_epochs
        if not kept or not self.save_every_n_epochs:
            return None
        old = epoch - self.save_every_n_epochs * kept
        return old if old > 0 else None


@dataclass(frozen=True)
class SamplePlan:
    """When to sample; the names are those of the options without `sample_`. None: never."""

    at_first: bool = False
    every_n_steps: int | None = None
    every_n_epochs: int | None = None

    @classmethod
    def of(cls, options: SamplingOptions) -> SamplePlan:
        """The plan that the options make; without prompts there are no samples."""
        if options.sample_prompts is None:
            return NO_SAMPLES
        return cls(options.sample_at_first, options.sample_every_n_steps, options.sample_every_n_epochs)

    def step_is_due(self, step: int) -> bool:
        return self.every_n_steps is not None and step % self.every_n_steps == 0

    def epoch_is_due(self, epoch: int) -> bool:
        return self.every_n_epochs is not None and epoch % self.every_n_epochs == 0


NO_SAMPLES = SamplePlan()


@dataclass(frozen=True)
class SavedCount:
    """What a training writes. most_files, most_states: of those that are there at one time, the last one included."""

    files: int
    states: int
    most_files: int
    most_states: int


def count_saved(plan: SavePlan, steps: StepCount) -> SavedCount:
    """What a training of so many steps writes, one after the other as the trainer does."""
    files, states = _Kept(), _Kept()
    for kind, number in _times_to_save(plan, steps):
        old = plan.old_step if kind == "step" else plan.old_epoch
        files.add((kind, number), replaces=(kind, old(number)))
        if plan.save_state:
            states.add((kind, number), replaces=(kind, old(number, state=True)))
    if plan.save_state or plan.save_state_on_train_end:
        states.add(("final", 0))
    files.add(("final", 0))
    return SavedCount(files.written, states.written, files.most, states.most)


def count_samplings(plan: SamplePlan, steps: StepCount) -> int:
    """How often a training samples. At a step that is also the end of an epoch it samples once."""
    if plan == NO_SAMPLES:
        return 0
    times = set(range(plan.every_n_steps, steps.total_steps + 1, plan.every_n_steps)) if plan.every_n_steps else set()
    if plan.every_n_epochs:
        epochs = range(plan.every_n_epochs, steps.epochs + 1, plan.every_n_epochs)
        times |= {min(epoch * steps.steps_per_epoch, steps.total_steps) for epoch in epochs}
    return len(times) + plan.at_first


Saving = tuple[str, int | None]
"""A checkpoint by what it was saved after, ("step", 200) or ("epoch", 3)."""


@dataclass
class _Kept:
    """What is there of one kind, how many were written, and the most there were at one time."""

    there: set[Saving] = field(default_factory=set)
    written: int = 0
    most: int = 0

    def add(self, saved: Saving, *, replaces: Saving | None = None) -> None:
        self.there.add(saved)
        self.written += 1
        self.most = max(self.most, len(self.there))
        if replaces:
            self.there.discard(replaces)


def _times_to_save(plan: SavePlan, steps: StepCount) -> Iterator[tuple[str, int]]:
    """The checkpoints before the final one, in order; at the same step that of the step comes first."""
    times = []
    if plan.save_every_n_steps:
        due = range(plan.save_every_n_steps, steps.total_steps + 1, plan.save_every_n_steps)
        times += [(step, 0, "step", step) for step in due]
    if plan.save_every_n_epochs:
        due = range(plan.save_every_n_epochs, steps.epochs, plan.save_every_n_epochs)
        times += [(epoch * steps.steps_per_epoch, 1, "epoch", epoch) for epoch in due]
    for _, _, kind, number in sorted(times):
        yield kind, number
