"""Queries and keys normalised over the columns of a head, and rotated by their token's position."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

NORM_EPS = 1e-6

Rope = tuple[Tensor, Tensor]
"""Cosines and sines, each (S, head_dim / 2), fp32."""


class RMSNorm(nn.Module):
    """Root mean square norm over the columns of a head, computed in fp32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), x.shape[-1:], eps=NORM_EPS).type_as(x) * self.weight.to(x.dtype)


def rotate(x: Tensor, rope: Rope) -> Tensor:
    """Neighbouring pairs of columns turned by the angle of their token's position, in fp32.

    x: (B, S, heads, head_dim). Source: Su et al. 2021 (arXiv:2104.09864).
    """
    cos, sin = (table.unsqueeze(1) for table in rope)  # (S, head_dim/2) -> (S, 1, head_dim/2)
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2).type_as(x)


def heads_of(
    qkv: Iterable[Tensor], q_norm: RMSNorm, k_norm: RMSNorm, rope: Rope, *, heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values for attention: three of (B, S, D) -> three of (B, S, heads, head_dim)."""
    q, k, v = (part.unflatten(-1, (heads, -1)) for part in qkv)
    return normed_and_rotated(q, q_norm, rope), normed_and_rotated(k, k_norm, rope), v


def normed_and_rotated(x: Tensor, norm: RMSNorm, rope: Rope) -> Tensor:
    """rotate(norm(x), rope), in fewer steps where the norm's weight is not trained. x: (B, S, heads, head_dim)."""
    if torch.compiler.is_compiling() or norm.weight.requires_grad or x.device.type == "mps":
        return rotate(norm(x), rope)  # MPS and compilers know complex numbers in part only
    return _NormedAndRotated.apply(x, norm.weight, *rope)


class _NormedAndRotated(torch.autograd.Function):
    """turn * (weight * r * x), where pairs of columns are complex numbers and r = 1 / rms(x), in the tables' dtype.

    With g = weight * (gradient / turn) and n columns, the gradient of x is r * (g - x * sum(g * x) * r^2 / n).
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        wide, weight = x.to(cos.dtype), weight.to(cos.dtype)
        mean_square = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_().div_(x.shape[-1])
        r = mean_square.add_(NORM_EPS).rsqrt_()
        out = torch.empty_like(wide, memory_format=torch.contiguous_format)
        torch.mul(wide, r, out=out).mul_(weight)
        _as_complex(out).mul_(_turn(cos, sin))
        ctx.save_for_backward(x, weight, r, cos, sin)
        return out.type_as(x)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        x, weight, r, cos, sin = ctx.saved_tensors
        wide = x.to(cos.dtype)
        g = torch.empty_like(wide, memory_format=torch.contiguous_format)
        torch.mul(_as_complex(gradient.to(cos.dtype).contiguous()), _turn(cos, -sin), out=_as_complex(g))
        g.mul_(weight)
        along = (g * wide).sum(dim=-1, keepdim=True).mul_(r.square()).div_(x.shape[-1])
        return g.addcmul_(wide, along, value=-1).mul_(r).type_as(x), None, None, None


def _turn(cos: Tensor, sin: Tensor) -> Tensor:
    return torch.complex(cos, sin).unsqueeze(1)  # (S, head_dim/2) -> (S, 1, head_dim/2)


def _as_complex(x: Tensor) -> Tensor:
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))
