"""Whether the tensors of one module of a LoRA, LoHa or LoKr file make a change of a weight."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Protocol

from backend.plan.adapter_files import kind_of_parts
from backend.plan.adapters import LABELS, LOHA, LOKR, LORA, PARTS

_PRODUCTS = {
    LORA: (("lora_up.weight", "lora_down.weight"),),
    LOHA: (("hada_w1_a", "hada_w1_b"), ("hada_w2_a", "hada_w2_b")),
    LOKR: (("lokr_w2_a", "lokr_w2_b"),),
}
"""Pairs of matrices that are multiplied, so that the columns of the first are the rows of the second."""


class Matrix(Protocol):
    """What numpy's arrays and torch's tensors have in common."""

    @property
    def ndim(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def __float__(self) -> float: ...


def fault_of_parts(parts: Mapping[str, Matrix]) -> str | None:
    """What keeps these tensors from being one module, None if nothing does. parts: by the endings of their names."""
    kind = kind_of_parts(parts)
    if kind is None:
        return "has no matrices"
    matrices = {part: tensor for part, tensor in parts.items() if part != "alpha"}
    if missing := _missing(kind, matrices):
        return f"{missing} is missing in the {LABELS[kind]}"
    for part, tensor in matrices.items():
        if part not in PARTS[kind]:
            return f"{part} is no part of a {LABELS[kind]}"
        if tensor.ndim != 2:
            return f"{part}: a matrix is wanted, but the shape is {tuple(tensor.shape)}"
    for left, right in _PRODUCTS[kind]:
        if left in matrices and matrices[left].shape[1] != matrices[right].shape[0]:
            shapes = f"{tuple(matrices[left].shape)} and {tuple(matrices[right].shape)}"
            return f"{left} and {right} have shapes {shapes}, which are no product"
    return _fault_of_alpha(parts.get("alpha"))


def _missing(kind: str, found: Iterable[str]) -> str | None:
    """The first part that is not there. LoKr's larger matrix is whole, or in two factors."""
    wanted = PARTS[kind]
    if kind == LOKR:
        wanted = ("lokr_w1", "lokr_w2") if "lokr_w2" in found else ("lokr_w1", "lokr_w2_a", "lokr_w2_b")
    return next((part for part in wanted if part not in found), None)


def _fault_of_alpha(alpha: Matrix | None) -> str | None:
    if alpha is None:
        return None
    if math.prod(alpha.shape) != 1:
        return f"alpha: one number is wanted, but the shape is {tuple(alpha.shape)}"
    if not 0 <= float(alpha) < float("inf"):
        return f"alpha is {float(alpha):g}, but has to be 0 (the rank) or more"
    return None
