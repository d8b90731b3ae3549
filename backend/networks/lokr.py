"""LoKr: a trainable addition whose weight is the Kronecker product of a small and a larger matrix.

Source: Yeh et al. 2023, "LyCORIS" (arXiv:2309.14859), whose names these are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backend.networks.adapter import NO_DROPOUT, Adapter, Dropouts
from backend.plan.adapters import LOKR, AdapterSize, Shape


class LoKrLinear(Adapter):
    """A frozen Linear with a trainable LoKr: the change of its weight is kron(w1, w2) * scale.

    w2 is whole (its scale is 1), or the product of w2_a and w2_b. The Kronecker product itself is never made.
    """

    kind = LOKR

    def __init__(
        self,
        base: nn.Linear,
        *,
        shapes: Mapping[str, Shape],
        rank: int,
        alpha: float,
        dropouts: Dropouts = NO_DROPOUT,
        generator: torch.Generator | None = None,
    ) -> None:
        """shapes: as `lokr_shapes` makes them."""
        super().__init__(base, rank=rank, alpha=alpha, dropouts=dropouts)
        for part, shape in shapes.items():
            self.register_parameter(part, nn.Parameter(torch.zeros(shape, dtype=torch.float32)))
        for part in ("lokr_w1",) if self.is_full else ("lokr_w1", "lokr_w2_a"):
            nn.init.kaiming_uniform_(self.get_parameter(part), a=math.sqrt(5), generator=generator)
        self.set_alpha(alpha)
        self.to(base.weight.device)

    @classmethod
    def of_size(
        cls,
        base: nn.Linear,
        size: AdapterSize,
        *,
        dropouts: Dropouts = NO_DROPOUT,
        generator: torch.Generator | None = None,
    ) -> LoKrLinear:
        return cls(base, shapes=size.shapes, rank=size.rank, alpha=size.alpha, dropouts=dropouts, generator=generator)

    @staticmethod
    def change(parts: Mapping[str, Tensor], alpha: float | None) -> Tensor:
        if "lokr_w2" in parts:
            return torch.kron(parts["lokr_w1"], parts["lokr_w2"])
        rank = parts["lokr_w2_a"].shape[1]
        return torch.kron(parts["lokr_w1"], parts["lokr_w2_a"] @ parts["lokr_w2_b"]) * ((alpha or rank) / rank)

    @property
    def is_full(self) -> bool:
        return "lokr_w2" in self._parameters

    @property
    def shared_by(self) -> tuple[str, str]:
        return "lokr_w1", "lokr_w2" if self.is_full else "lokr_w2_b"

    def delta(self, x: Tensor) -> Tensor:
        # kron(w1, w2) x = w1 X w2^T, where X holds x in rows as long as those of w2.
        kept = self._kept_outputs(x.device)
        rows = x.to(self._compute_dtype(x)).unflatten(-1, (self.lokr_w1.shape[1], -1))  # (..., in) -> (..., m, n)
        inner = F.linear(rows, self.lokr_w2 if self.is_full else self.lokr_w2_b)  # -> (..., m, k or r)
        mixed = (self.lokr_w1 * self.scale) @ inner  # -> (..., l, k or r)
        out = mixed if self.is_full else F.linear(mixed, self.lokr_w2_a)  # -> (..., l, k)
        return out.flatten(-2) if kept is None else out.flatten(-2) * kept

    def set_alpha(self, alpha: float) -> None:
        super().set_alpha(alpha)
        if self.is_full:
            self.scale = 1.0

    def weight_norm(self) -> Tensor:
        """|kron(A, B)| is |A| |B|."""
        parts = {name: matrix.detach() for name, matrix in self.parts().items()}
        larger = parts["lokr_w2"] if self.is_full else parts["lokr_w2_a"] @ parts["lokr_w2_b"]
        return self.scale * parts["lokr_w1"].norm() * larger.norm()
