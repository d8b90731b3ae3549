"""Stratified noise levels: an epoch's uniform numbers, as many from each stratum as possible."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backend.training.flow_matching import micro_batch_generator


def stratified_uniforms(sizes: Sequence[int], *, strata: int, seed: int, epoch: int) -> list[Tensor]:
    """For each batch of an epoch as many uniform numbers in [0, 1) as it has items.

    sizes: items of each batch. Each stratum, [i / strata, (i + 1) / strata), is met equally often up to one time; which
    ones are met once more, and the order, are random but follow from seed and epoch alone.
    """
    total = sum(sizes)
    generator = micro_batch_generator(seed, -epoch)  # batches count from 0 up
    rounds = -(-total // strata)
    strata_met = torch.cat([torch.randperm(strata, generator=generator) for _ in range(rounds)])[:total]
    numbers = (strata_met + torch.rand(total, generator=generator)) / strata
    shuffled = numbers[torch.randperm(total, generator=generator)].clamp(max=1 - 2**-24)
    return list(shuffled.split(list(sizes)))
