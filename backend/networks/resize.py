"""LoRA of a given size: the nearest of lower rank to a LoRA, or to the difference of two weights, by their SVD."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

EXACT_UP_TO = 1024
"""The smaller side of a matrix up to which its whole SVD is computed; larger ones are found by random projections."""

Rank = Callable[[Tensor], int]
"""From the singular values, largest first, to how many of them are kept."""


def fixed_rank(rank: int) -> Rank:
    """So many, or all if there are fewer that float32 tells from zero."""
    return lambda values: max(1, min(rank, int((values > values[0] * 1e-6).sum())))


def kept_energy(part: float) -> Rank:
    """As many as hold that part, in (0, 1], of the sum of squares."""

    def rank(values: Tensor) -> int:
        energy = values.double().square().cumsum(0)
        return 1 + int((energy < energy[-1] * part * (1 - 1e-12)).sum())

    return rank


def resize(down: Tensor, up: Tensor, scale: float, rank: Rank) -> tuple[Tensor, Tensor]:
    """The nearest LoRA of lower rank to scale * up @ down: (down, up) in float32, whose scale is 1.

    down: (r, in). up: (out, r). The product itself is never made. Source: Eckart and Young 1936.
    """
    left, left_inner = torch.linalg.qr(up.float() * scale)
    right, right_inner = torch.linalg.qr(down.float().T)
    u, values, vh = torch.linalg.svd(left_inner @ right_inner.T)
    return _cut(left @ u, values, vh @ right.T, rank(values))


def low_rank(difference: Tensor, rank: Rank, *, most: int) -> tuple[Tensor, Tensor]:
    """The nearest LoRA to a change of a weight, (out, in): (down, up) in float32, whose scale is 1.

    most: the highest rank that `rank` may ask for.
    """
    difference = difference.float()
    if min(difference.shape) <= EXACT_UP_TO:
        u, values, vh = torch.linalg.svd(difference, full_matrices=False)
    else:
        u, values, v = torch.svd_lowrank(difference, q=min(most + 16, *difference.shape), niter=4)
        vh = v.T
    return _cut(u, values, vh, min(rank(values), most))


def _cut(u: Tensor, values: Tensor, vh: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Both matrices get the root of the values, so that neither is much larger than the other."""
    roots = values[:rank].sqrt()
    return (roots[:, None] * vh[:rank]).contiguous(), (u[:, :rank] * roots).contiguous()
