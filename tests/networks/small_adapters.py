"""Small adapters on one Linear, with every matrix away from zero, and the weights that they make, written out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backend.networks.adapter import NO_DROPOUT, Adapter, Dropouts
from backend.networks.kinds import ADAPTERS
from backend.plan.adapters import LOHA, LOKR, LORA, adapter_size
from backend.plan.modules import LinearModule

IN, OUT = 24, 40

CASES = {
    "LoRA": (LORA, {"rank": 4}),
    "LoHa": (LOHA, {"rank": 2}),
    "LoHa, whole weight": (LOHA, {"rank": 8}),
    "LoKr": (LOKR, {"rank": 2}),
    "LoKr, factor 8": (LOKR, {"rank": 1, "factor": 8}),
    "LoKr, whole w2": (LOKR, {"rank": 8}),
}
"""A network_module and the options of its size, by a name."""


def make_adapter(
    case: str, *, alpha: float = 1.5, dropouts: Dropouts = NO_DROPOUT, dtype: torch.dtype = torch.float32
) -> Adapter:
    """An adapter 24 -> 40; all numbers follow from a seed. dtype: of the base and the matrices."""
    kind, options = CASES[case]
    generator = torch.Generator().manual_seed(3)
    base = nn.Linear(IN, OUT)
    for parameter in base.parameters():
        nn.init.normal_(parameter, std=0.2, generator=generator)
    size = adapter_size(kind, LinearModule("x", IN, OUT), alpha=alpha, **options)
    adapter = ADAPTERS[kind].of_size(base, size, dropouts=dropouts)
    for matrix in adapter.parts().values():
        nn.init.normal_(matrix, std=0.5, generator=generator)
    return adapter.to(dtype)


def weight_change(matrices: dict[str, Tensor]) -> Tensor:
    """The product of the matrices, (out, in), as the papers write it, not scaled."""
    if "lora_up.weight" in matrices:
        return matrices["lora_up.weight"] @ matrices["lora_down.weight"]
    if "hada_w1_a" in matrices:
        first = matrices["hada_w1_a"] @ matrices["hada_w1_b"]
        return first * (matrices["hada_w2_a"] @ matrices["hada_w2_b"])
    larger = matrices["lokr_w2"] if "lokr_w2" in matrices else matrices["lokr_w2_a"] @ matrices["lokr_w2_b"]
    return torch.cat([torch.cat([number * larger for number in row], dim=1) for row in matrices["lokr_w1"]])


def scale_of(case: str, alpha: float = 1.5) -> float:
    """What the product is multiplied by: alpha / rank, but 1 where LoKr's larger matrix is whole."""
    return 1.0 if case == "LoKr, whole w2" else alpha / CASES[case][1]["rank"]
