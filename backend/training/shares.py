"""Which micro-batches of an optimizer step a process computes."""

from __future__ import annotations

from dataclasses import dataclass

from backend.plan.steps import StepCount


@dataclass(frozen=True)
class Processes:
    """The process this is, counted from 0, and how many there are."""

    index: int = 0
    count: int = 1


@dataclass(frozen=True)
class Share:
    """One micro-batch of a process. index: its place in the epoch.

    counts: whether its loss counts. Where an epoch ends with fewer micro-batches than processes, the others compute the
    last one again for nothing, so that all take part in the exchange of gradients.
    """

    index: int
    counts: bool


def shares_of_step(position: int, steps: StepCount, processes: Processes) -> list[Share]:
    """What a process computes in the step at that position of an epoch, counted from 0.

    Micro-batches are dealt out in turn: all processes together compute what one would that accumulates as many.
    """
    first = position * steps.micro_batches_per_step
    end = min(first + steps.micro_batches_per_step, steps.batches_per_epoch)
    rounds = range(first, end, processes.count)
    return [Share(min(start + processes.index, end - 1), start + processes.index < end) for start in rounds]
