"""Weights of the blocks' Linears kept in 8 bits (float8 e4m3fn), plain or with a scale for each small block of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Float8Kind = Literal["plain", "scaled"]

FLOAT8 = torch.float8_e4m3fn
LARGEST = torch.finfo(FLOAT8).max  # 448
BLOCK = 64
"""Neighbouring weights of one output that share a scale."""


class Float8Linear(nn.Linear):
    """A frozen Linear whose weight lies in memory in 8 bits and is widened for each product.

    weight: (out, in), float8. scale: (out, in / 64, 1) float32, each for 64 neighbours (or all of an output, where `in`
    is no multiple of 64); None for plain casts, which lose what is small: e4m3 ends at 2^-9.
    The product is computed in autocast's dtype where that is on, else in the input's.
    """

    def __init__(self, linear: nn.Linear, kind: Float8Kind) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        device = linear.weight.device
        self.weight = nn.Parameter(torch.empty(linear.weight.shape, dtype=FLOAT8, device=device), requires_grad=False)
        self.bias = linear.bias
        shape = (linear.out_features, linear.in_features // _block_of(linear.in_features), 1)
        scale = torch.empty(shape, dtype=torch.float32, device=device) if kind == "scaled" else None
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        device = x.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        return _Product.apply(x.to(dtype), self.weight, self.scale, bias)


def keep_in_float8(model: nn.Module, names: Iterable[str], kind: Float8Kind) -> None:
    """Put a Float8Linear in the place of each named Linear, on the same device; the weights are still to be filled."""
    for name in names:
        linear = model.get_submodule(name)
        if not isinstance(linear, nn.Linear):
            raise ValueError(f"{name} is a {type(linear).__name__}, not a Linear")
        model.set_submodule(name, Float8Linear(linear, kind))


def to_float8(weight: Tensor, kind: Float8Kind) -> tuple[Tensor, Tensor | None]:
    """A weight (out, in) in 8 bits, and its scales (out, in / 64, 1), None for plain ones."""
    if kind == "plain":
        return weight.clamp(-LARGEST, LARGEST).to(FLOAT8), None
    blocks = weight.float().unflatten(1, (-1, _block_of(weight.shape[1])))  # (out, in) -> (out, in / 64, 64)
    scale = blocks.abs().amax(dim=2, keepdim=True) / LARGEST
    scale = torch.where(scale > 0, scale, 1)
    return (blocks / scale).flatten(1).to(FLOAT8), scale


def from_float8(weight: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The weight (out, in) that `to_float8` has made small, in a dtype to compute in."""
    wide = weight.to(dtype)
    if scale is None:
        return wide
    return (wide.unflatten(1, (scale.shape[1], -1)) * scale.to(dtype)).flatten(1)


class _Product(torch.autograd.Function):
    """x @ weight.T + bias for a frozen weight, which is widened again in the backward pass in place of being kept."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, scale: Tensor | None, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight, scale)
        return F.linear(x, from_float8(weight, scale, x.dtype), bias)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        weight, scale = ctx.saved_tensors
        return gradient @ from_float8(weight, scale, gradient.dtype), None, None, None


def _block_of(in_features: int) -> int:
    return BLOCK if in_features % BLOCK == 0 else in_features
