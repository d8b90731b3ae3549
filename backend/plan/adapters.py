"""What LoRA, LoHa and LoKr put beside a Linear: the matrices that are trained, and how many numbers that makes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.config.schema import NetworkOptions
from backend.errors import OptionError
from backend.plan.modules import LinearModule

LORA, LOHA, LOKR = "networks.lora", "networks.loha", "networks.lokr"

LABELS = {LORA: "LoRA", LOHA: "LoHa", LOKR: "LoKr"}
"""The kinds of networks by their network_module, with the name that people know them by."""

PARTS = {
    LORA: ("lora_down.weight", "lora_up.weight"),
    LOHA: ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),
    LOKR: ("lokr_w1", "lokr_w2", "lokr_w2_a", "lokr_w2_b"),
}
"""The endings of tensor names in a file; beside them each module has its alpha."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class AdapterSize:
    """What one Linear gets. kind: its network_module. shapes: of the trained matrices, by the ending of their names."""

    kind: str
    rank: int
    alpha: float
    shapes: Mapping[str, Shape]

    @property
    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def scale(self) -> float:
        """What the product of the matrices is multiplied by."""
        return 1.0 if self.is_full else self.alpha / self.rank

    @property
    def is_full(self) -> bool:
        """Whether this is a LoKr whose larger matrix is whole; its scale is 1."""
        return "lokr_w2" in self.shapes


def adapter_sizes(options: NetworkOptions, linears: Sequence[LinearModule]) -> dict[str, AdapterSize]:
    """The size of the network that the options make of these Linears, by their names."""
    return {
        linear.name: adapter_size(
            options.network_module,
            linear,
            rank=options.network_dim,
            alpha=options.network_alpha,
            factor=options.factor,
        )
        for linear in linears
    }


def adapter_size(
    kind: str, linear: LinearModule, *, rank: int, alpha: float | None = None, factor: int = -1
) -> AdapterSize:
    """The size of a network of some kind on one Linear. alpha: None or 0 means the rank. factor: of LoKr only.

    A LoKr of a rank of half its larger matrix or more keeps that matrix whole, and its alpha is the rank.
    Raises OptionError for a rank below 1 or a negative alpha.
    """
    if rank < 1:
        raise OptionError(f"network_dim is {rank}, but the rank has to be at least 1", option="network_dim")
    if alpha is not None and not 0 <= alpha < math.inf:
        message = f"network_alpha is {alpha}, but has to be 0 (same as the rank) or more"
        raise OptionError(message, option="network_alpha")
    if kind == LOKR:
        w1_shape = (factorise(linear.out_features, factor)[0], factorise(linear.in_features, factor)[0])
        larger = max(linear.out_features // w1_shape[0], linear.in_features // w1_shape[1])
        if rank >= larger / 2:
            return AdapterSize(kind, rank, rank, lokr_shapes(linear, w1_shape=w1_shape, rank=None))
        return AdapterSize(kind, rank, alpha or rank, lokr_shapes(linear, w1_shape=w1_shape, rank=rank))
    shapes = loha_shapes(linear, rank=rank) if kind == LOHA else lora_shapes(linear, rank=rank)
    return AdapterSize(kind, rank, alpha or rank, shapes)


def lora_shapes(linear: LinearModule, *, rank: int) -> dict[str, Shape]:
    """Two matrices whose product is the change of the weight."""
    return {"lora_down.weight": (rank, linear.in_features), "lora_up.weight": (linear.out_features, rank)}


def loha_shapes(linear: LinearModule, *, rank: int) -> dict[str, Shape]:
    """Two pairs of matrices; the change of the weight is the elementwise product of their products."""
    left, right = (linear.out_features, rank), (rank, linear.in_features)
    return {"hada_w1_a": left, "hada_w1_b": right, "hada_w2_a": left, "hada_w2_b": right}


def lokr_shapes(linear: LinearModule, *, w1_shape: Shape, rank: int | None) -> dict[str, Shape]:
    """Two matrices whose Kronecker product is the change; the larger one in two factors of that rank, None for whole.

    w1_shape: of the smaller one; it divides the sizes of the Linear.
    """
    rows, columns = linear.out_features // w1_shape[0], linear.in_features // w1_shape[1]
    if rank is None:
        return {"lokr_w1": w1_shape, "lokr_w2": (rows, columns)}
    return {"lokr_w1": w1_shape, "lokr_w2_a": (rows, rank), "lokr_w2_b": (rank, columns)}


def factorise(dimension: int, factor: int = -1) -> tuple[int, int]:
    """A dimension as smaller times larger number: with the factor where it divides the dimension, else balanced.

    Balanced: the smaller one is as large as it can be, but no larger than a factor that is not negative.
    """
    if factor > 0 and dimension % factor == 0:
        smaller = min(factor, dimension // factor)
    else:
        limit = math.isqrt(dimension) if factor < 0 else min(factor, math.isqrt(dimension))
        smaller = next((divisor for divisor in range(limit, 0, -1) if dimension % divisor == 0), 1)
    return smaller, dimension // smaller
