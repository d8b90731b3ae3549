"""What all networks share on one Linear: a frozen base, a trainable addition, and its place in a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backend.plan.adapters import AdapterSize


@dataclass(frozen=True)
class Dropouts:
    """What is left out at random while training, each a chance in [0, 1).

    neuron: single numbers between the matrices of LoRA. rank: a rank of LoRA, for all tokens of an item; an output of
    LoHa and LoKr, for a whole batch. module: the whole module.
    """

    neuron: float = 0.0
    rank: float = 0.0
    module: float = 0.0


NO_DROPOUT = Dropouts()


class Adapter(nn.Module, ABC):
    """A frozen Linear with a trainable addition: base(x) + delta(x), in the dtype of the base's output.

    x: (..., in_features). The names of the trained matrices are the endings of their names in a file. They are float32,
    created on the CPU, so that a seed gives the same values on every device, and then moved to the base's device.
    alpha: what is saved; scale: what the product of the matrices is multiplied by.
    """

    kind: str
    """As network_module names it."""

    shared_by: tuple[str, str]
    """Two of the matrices; the change of the weight is proportional to each."""

    def __init__(self, base: nn.Linear, *, rank: int, alpha: float, dropouts: Dropouts = NO_DROPOUT) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.rank = rank
        self.dropouts = dropouts
        self.register_buffer("alpha", torch.tensor(float(alpha)))
        self.scale = self.alpha.item() / rank  # of the float32 that is saved, so that resuming gives the same

    @classmethod
    def of_size(
        cls,
        base: nn.Linear,
        size: AdapterSize,
        *,
        dropouts: Dropouts = NO_DROPOUT,
        generator: torch.Generator | None = None,
    ) -> Adapter:
        """A new one of that size; generator: a CPU generator for the matrices that do not start at zero."""
        return cls(base, rank=size.rank, alpha=size.alpha, dropouts=dropouts, generator=generator)

    @staticmethod
    @abstractmethod
    def change(parts: Mapping[str, Tensor], alpha: float | None) -> Tensor:
        """The change of the weight, (out, in), that these matrices make. alpha: None or 0 means the rank."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.base(x.reshape(-1, x.shape[-1]))  # as rows: of a view autograd could not take a sum in place
        if not (self.training and self.dropouts.module and torch.rand(()).item() < self.dropouts.module):
            out = self.add_delta(out, x)
        return out.view(*x.shape[:-1], -1)

    def add_delta(self, base_out: Tensor, x: Tensor) -> Tensor:
        """base_out + delta(x) in base_out's dtype and shape, (rows, out_features); base_out may be overwritten."""
        return (base_out + self.delta(x).reshape(base_out.shape)).to(base_out.dtype)

    @abstractmethod
    def delta(self, x: Tensor) -> Tensor:
        """What is added to the base's output, (..., out_features)."""

    @abstractmethod
    def weight_norm(self) -> Tensor:
        """The Frobenius norm of the change of the weight."""

    def shrink(self, ratio: float) -> None:
        """Multiply the change of the weight, half of it in each of two matrices."""
        for part in self.shared_by:
            self.get_parameter(part).mul_(ratio**0.5)

    def parts(self) -> dict[str, nn.Parameter]:
        """The trained matrices by the endings of their names in a file."""
        return {name: parameter for name, parameter in self.named_parameters() if not name.startswith("base.")}

    @property
    def size(self) -> AdapterSize:
        shapes = {part: tuple(matrix.shape) for part, matrix in self.parts().items()}
        return AdapterSize(self.kind, self.rank, self.alpha.item(), shapes)

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over the matrices and the alpha of a file; a missing alpha is the rank. The shapes have to fit."""
        for part, matrix in self.parts().items():
            matrix.copy_(tensors[part])
        self.set_alpha(float(tensors.get("alpha", 0)) or self.rank)

    def set_alpha(self, alpha: float) -> None:
        """Change alpha, and with it the scale."""
        self.alpha.fill_(alpha)
        self.scale = self.alpha.item() / self.rank

    def _compute_dtype(self, x: Tensor) -> torch.dtype:
        """What autocast computes in where it is on, else that of the matrices."""
        device = x.device.type
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.alpha.dtype

    def _kept_outputs(self, device: torch.device) -> Tensor | None:
        """While training with rank dropout, (out,): 0 for what is left out, 1 / (1 - chance) for the other outputs."""
        chance = self.dropouts.rank
        if not (self.training and chance):
            return None
        return (torch.rand(self.base.out_features, device=device) > chance) / (1 - chance)
