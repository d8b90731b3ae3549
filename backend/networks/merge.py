"""Adding a LoRA to the weights it was trained on."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def merge_into(
    base_weight: Tensor, *, down: Tensor, up: Tensor, alpha: float | None = None, multiplier: float = 1.0
) -> Tensor:
    """Change a Linear's weight in place to W + multiplier * alpha / rank * up @ down, and return it.

    base_weight: (out, in). down: (rank, in). up: (out, rank). alpha: None means the rank. The sum is computed in
    float32 and rounded once to the dtype of base_weight. Raises ValueError if the shapes do not fit together.
    """
    rank = down.shape[0]
    if up.shape[1] != rank or base_weight.shape != (up.shape[0], down.shape[1]):
        shapes = f"down {tuple(down.shape)}, up {tuple(up.shape)}, weight {tuple(base_weight.shape)}"
        raise ValueError(f"the matrices do not fit: {shapes}")
    scale = multiplier * (alpha or rank) / rank
    device = base_weight.device
    product = up.to(device, torch.float32) @ down.to(device, torch.float32)
    return base_weight.copy_(base_weight.to(torch.float32) + scale * product)
