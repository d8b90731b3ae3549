"""The optimizer of the base models: Muon for matrices and convolutions, Adam for vectors.

With Adam the autoencoder stood still at grey pictures, since a step moves all 1728 inputs of a filter at once; here a
step changes no direction of a matrix by more than the rate.
Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""The polynomial whose repetition brings all singular values near 1."""
ROUNDS = 5
ADAM_DECAYS = (0.9, 0.98)


class Muon(torch.optim.Optimizer):
    """lr: of matrices, relative to their spectral norm. vector_rate: how many times slower vectors learn, by Adam."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, *, momentum: float = 0.9, vector_rate: float = 0.1
    ):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "vector_rate": vector_rate})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if parameter.ndim >= 2:
                    _step_matrix(parameter, state, rate=group["lr"], momentum=group["momentum"])
                else:
                    _step_vector(parameter, state, rate=group["lr"] * group["vector_rate"])


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with all its singular values near 1, in bfloat16."""
    a, b, c = NEWTON_SCHULZ
    wide = matrix.bfloat16() if matrix.shape[0] <= matrix.shape[1] else matrix.bfloat16().T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(ROUNDS):
        square = wide @ wide.T
        wide = a * wide + (b * square + c * square @ square) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


def _step_matrix(parameter: Tensor, state: dict[str, Tensor], *, rate: float, momentum: float) -> None:
    mean = state.setdefault("mean", torch.zeros_like(parameter))
    mean.lerp_(parameter.grad, 1 - momentum)
    ahead = parameter.grad.lerp(mean, momentum).flatten(1)
    scale = max(1.0, ahead.shape[0] / ahead.shape[1]) ** 0.5
    parameter.add_(orthogonal(ahead).view_as(parameter), alpha=-rate * scale)


def _step_vector(parameter: Tensor, state: dict[str, Tensor], *, rate: float) -> None:
    slow, fast = ADAM_DECAYS
    mean = state.setdefault("mean", torch.zeros_like(parameter)).lerp_(parameter.grad, 1 - slow)
    square = state.setdefault("square", torch.zeros_like(parameter)).lerp_(parameter.grad.square(), 1 - fast)
    count = state.setdefault("count", torch.zeros(())).add_(1)
    scale = (square / (1 - fast**count)).sqrt() + 1e-8
    parameter.sub_(rate * mean / (1 - slow**count) / scale)
