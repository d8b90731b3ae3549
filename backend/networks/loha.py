"""LoHa: a trainable addition whose weight is the elementwise product of two low-rank matrices.

Source: Hyeon-Woo et al. 2021, "FedPara" (arXiv:2108.06098); the names are those of LyCORIS.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backend.networks.adapter import NO_DROPOUT, Adapter, Dropouts
from backend.plan.adapters import LOHA


class LoHaLinear(Adapter):
    """A frozen Linear with a trainable LoHa: the change of its weight is (w1_a @ w1_b) * (w2_a @ w2_b) * scale."""

    kind = LOHA
    shared_by = ("hada_w1_a", "hada_w2_a")

    def __init__(
        self,
        base: nn.Linear,
        *,
        rank: int,
        alpha: float,
        dropouts: Dropouts = NO_DROPOUT,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(base, rank=rank, alpha=alpha, dropouts=dropouts)
        rows, columns = base.out_features, base.in_features
        self.hada_w1_a = nn.Parameter(torch.empty(rows, rank, dtype=torch.float32))
        self.hada_w1_b = nn.Parameter(torch.empty(rank, columns, dtype=torch.float32))
        self.hada_w2_a = nn.Parameter(torch.zeros(rows, rank, dtype=torch.float32))
        self.hada_w2_b = nn.Parameter(torch.empty(rank, columns, dtype=torch.float32))
        nn.init.normal_(self.hada_w1_a, std=0.1, generator=generator)
        nn.init.normal_(self.hada_w1_b, std=1.0, generator=generator)
        nn.init.normal_(self.hada_w2_b, std=1.0, generator=generator)
        self.to(base.weight.device)

    @staticmethod
    def change(parts: Mapping[str, Tensor], alpha: float | None) -> Tensor:
        rank = parts["hada_w1_b"].shape[0]
        first, second = (parts[f"hada_{name}_a"] @ parts[f"hada_{name}_b"] for name in ("w1", "w2"))
        return first * second * ((alpha or rank) / rank)

    def delta(self, x: Tensor) -> Tensor:
        dtype, kept = self._compute_dtype(x), self._kept_outputs(x.device)
        w1_a = self.hada_w1_a if kept is None else self.hada_w1_a * kept[:, None]  # its rows are the outputs
        w1_b = self.hada_w1_b * self.scale  # the one of the four that is large from the start, for float16's sake
        matrices = [matrix.to(dtype) for matrix in (w1_a, w1_b, self.hada_w2_a, self.hada_w2_b)]
        return self._product.apply(x.to(dtype), *matrices)

    @property
    def _product(self) -> type[torch.autograd.Function]:
        """The cheaper one: LoRA's two products with rank^2 numbers between them, or one with the whole weight."""
        rows, columns = self.base.out_features, self.base.in_features
        return _LowRankProduct if self.rank**2 * (rows + columns) < rows * columns else _WholeProduct

    def weight_norm(self) -> Tensor:
        return self.change({name: matrix.detach() for name, matrix in self.parts().items()}, self.alpha.item()).norm()


class _WholeProduct(torch.autograd.Function):
    """x @ ((w1_a @ w1_b) * (w2_a @ w2_b)).T, whose weight is made again in the backward pass in place of being kept.

    Of the full-size model these weights would be as large as the model itself.
    """

    @staticmethod
    def forward(ctx, x: Tensor, w1_a: Tensor, w1_b: Tensor, w2_a: Tensor, w2_b: Tensor) -> Tensor:
        ctx.save_for_backward(x, w1_a, w1_b, w2_a, w2_b)
        return F.linear(x, (w1_a @ w1_b) * (w2_a @ w2_b))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor, Tensor, Tensor]:
        x, w1_a, w1_b, w2_a, w2_b = ctx.saved_tensors
        first, second = w1_a @ w1_b, w2_a @ w2_b
        of_x = gradient @ (first * second) if ctx.needs_input_grad[0] else None
        of_weight = _outer(gradient, x)
        of_first, of_second = of_weight * second, of_weight * first
        return of_x, of_first @ w1_b.T, w1_a.T @ of_first, of_second @ w2_b.T, w2_a.T @ of_second


class _LowRankProduct(torch.autograd.Function):
    """The same through the rank^2 products of a column of w1_a and one of w2_a, and of the rows likewise.

    A product of sums is a sum of products: ((w1_a @ w1_b) * (w2_a @ w2_b)) is a LoRA of rank^2.
    """

    @staticmethod
    def forward(ctx, x: Tensor, w1_a: Tensor, w1_b: Tensor, w2_a: Tensor, w2_b: Tensor) -> Tensor:
        up, down = _as_lora(w1_a, w1_b, w2_a, w2_b)
        inner = F.linear(x, down)
        ctx.save_for_backward(x, inner, w1_a, w1_b, w2_a, w2_b)
        return F.linear(inner, up)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor, Tensor, Tensor]:
        x, inner, w1_a, w1_b, w2_a, w2_b = ctx.saved_tensors
        up, down = _as_lora(w1_a, w1_b, w2_a, w2_b)
        rank = w1_b.shape[0]
        of_inner = gradient @ up
        of_x = of_inner @ down if ctx.needs_input_grad[0] else None
        of_up = _outer(gradient, inner).unflatten(1, (rank, rank))  # (out, r^2) -> (out, r of w1, r of w2)
        of_down = _outer(of_inner, x).unflatten(0, (rank, rank))  # (r^2, in) -> (r of w1, r of w2, in)
        return (
            of_x,
            (of_up * w2_a[:, None, :]).sum(2),
            (of_down * w2_b[None, :, :]).sum(1),
            (of_up * w1_a[:, :, None]).sum(1),
            (of_down * w1_b[:, None, :]).sum(0),
        )


def _as_lora(w1_a: Tensor, w1_b: Tensor, w2_a: Tensor, w2_b: Tensor) -> tuple[Tensor, Tensor]:
    """Up (out, r^2) and down (r^2, in)."""
    up = (w1_a[:, :, None] * w2_a[:, None, :]).flatten(1)
    down = (w1_b[:, None, :] * w2_b[None, :, :]).flatten(0, 1)
    return up, down


def _outer(left: Tensor, right: Tensor) -> Tensor:
    """The sum over all tokens of left's numbers times right's: (..., a), (..., b) -> (a, b)."""
    return left.flatten(0, -2).T @ right.flatten(0, -2)
