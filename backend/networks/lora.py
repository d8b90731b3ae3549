"""LoRA: a trainable low-rank addition to Linear modules of a frozen transformer (Hu et al. 2021, arXiv:2106.09685)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from backend.networks.adapter import NO_DROPOUT, Adapter, Dropouts
from backend.networks.network import Network, attach_network, find_linear
from backend.plan.adapters import LORA, adapter_size
from backend.plan.modules import LinearModule


class LoRALinear(Adapter):
    """A frozen Linear with a trainable low-rank addition: base(x) + up(down(x)) * scale, scale = alpha / rank.

    x: (..., in_features). Returns (..., out_features) in the dtype of the base's output. The LoRA weights are float32,
    created on the CPU, so that a seed gives the same values on every device, and moved to the base's device.
    """

    kind = LORA
    shared_by = ("lora_down.weight", "lora_up.weight")

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
        self.lora_down = skip_init(nn.Linear, base.in_features, rank, bias=False, dtype=torch.float32)
        self.lora_up = skip_init(nn.Linear, rank, base.out_features, bias=False, dtype=torch.float32)
        nn.init.kaiming_uniform_(self.lora_down.weight, a=math.sqrt(5), generator=generator)
        nn.init.zeros_(self.lora_up.weight)
        self.to(base.weight.device)

    @staticmethod
    def change(parts: Mapping[str, Tensor], alpha: float | None) -> Tensor:
        rank = parts["lora_down.weight"].shape[0]
        return parts["lora_up.weight"] @ parts["lora_down.weight"] * ((alpha or rank) / rank)

    def add_delta(self, base_out: Tensor, x: Tensor) -> Tensor:
        if self._compute_dtype(x) != base_out.dtype:
            return super().add_delta(base_out, x)
        inner = self._inner(x).flatten(0, -2)  # (..., rank) -> (rows, rank)
        return base_out.addmm_(inner, self.lora_up.weight.to(inner.dtype).T)  # in place: nothing else is as large

    def delta(self, x: Tensor) -> Tensor:
        return self.lora_up(self._inner(x))

    def _inner(self, x: Tensor) -> Tensor:
        """The numbers between the matrices, (..., rank), scaled here, where they are fewest."""
        if not torch.is_autocast_enabled(x.device.type):
            x = x.to(self.lora_down.weight.dtype)
        inner = self.lora_down(x)
        if self.training:
            inner = self._dropped(inner)
        return inner * self.scale

    def _dropped(self, inner: Tensor) -> Tensor:
        """The numbers between the matrices, (B, ..., rank), some of them zero and the others larger for it."""
        if self.dropouts.neuron:
            inner = nn.functional.dropout(inner, self.dropouts.neuron)
        if self.dropouts.rank:
            kept = torch.rand(len(inner), self.rank, device=inner.device) > self.dropouts.rank
            kept = kept.view(len(inner), *[1] * (inner.ndim - 2), self.rank)  # alike for all tokens of an item
            inner = inner * kept / (1 - self.dropouts.rank)
        return inner

    def weight_norm(self) -> Tensor:
        """The Frobenius norm of the change of the weight, scale * up @ down, which is never computed itself.

        |U D|^2 is the sum over (U^T U) * (D D^T), matrices of (rank, rank).
        """
        down, up = self.lora_down.weight.detach(), self.lora_up.weight.detach()
        squared = ((up.T @ up) * (down @ down.T)).sum().clamp(min=0)
        return self.scale * squared.sqrt()


def create_lora(
    transformer: nn.Module,
    module_names: Iterable[str],
    *,
    rank: int,
    alpha: float | None = None,
    dropouts: Dropouts = NO_DROPOUT,
    generator: torch.Generator | None = None,
) -> Network:
    """A LoRA of one rank on the named Linears of the transformer, as `attach_network` makes it.

    module_names: dotted names as in `LinearModule.name`. alpha: None or 0 means the rank.
    """
    sizes = {}
    for name in module_names:
        base = find_linear(transformer, name)
        linear = LinearModule(name, base.in_features, base.out_features)
        sizes[name] = adapter_size(LORA, linear, rank=rank, alpha=alpha)
    return attach_network(transformer, sizes, adapter=LoRALinear, dropouts=dropouts, generator=generator)
