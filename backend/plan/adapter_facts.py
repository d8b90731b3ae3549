"""What is in a LoRA, LoHa or LoKr file, module by module, with the norms of the changes of weights; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from backend.errors import ModelFileError
from backend.plan.adapter_files import kind_of_parts
from backend.plan.adapter_names import Naming, module_and_part, naming_of, place_in_blocks
from backend.plan.adapter_parts import fault_of_parts
from backend.plan.adapters import LOHA, LORA
from backend.plan.tensor_reading import read_tensor
from backend.plan.weights_header import TensorHeader, kind_of_file, read_header

ROWS_AT_ONCE = 512
"""Rows of a LoHa's change that are computed together: 6 MB of the widest Linear's 19 MB a thousand rows."""


@dataclass(frozen=True)
class ModuleFacts:
    """One module of a file. name: of its Linear, "double_blocks.0.img_attn_qkv". kind: as network_module names it.

    shape: (out, in) of the weight that it changes. rank, alpha: None for a LoKr without rank. norm: Frobenius' of the
    change of the weight at strength 1; not a number where the file holds such.
    """

    name: str
    kind: str
    shape: tuple[int, int]
    rank: int | None
    alpha: float | None
    numbers: int
    norm: float


@dataclass(frozen=True)
class AdapterFacts:
    """A file. size: in bytes. dtypes: as the file spells them. numbers: in all tensors."""

    size: int
    naming: Naming
    dtypes: tuple[str, ...]
    numbers: int
    modules: tuple[ModuleFacts, ...]
    metadata: Mapping[str, str]


def read_adapter_facts(path: Path) -> AdapterFacts:
    """Everything that is to be told of the file; each tensor is read once, a module at a time.

    Raises ModelFileError naming the file if it is missing, damaged, or holds something else.
    """
    header, metadata = read_header(path)
    if (kind := kind_of_file(header)) != "LoRA":
        raise ModelFileError(f"{path}: a LoRA file is wanted, but this file seems to be: {kind}")
    try:
        naming = naming_of(list(header))
        with path.open("rb") as file:
            modules = tuple(
                _module(name, [_read_parts(file, parts) for parts in pieces], naming)
                for name, pieces in _pieces(header, naming).items()
            )
    except ModelFileError as error:
        raise ModelFileError.of(
            replace(problem, message=f"{path}: {problem.message}") for problem in error.problems
        ) from error
    return AdapterFacts(
        size=path.stat().st_size,
        naming=naming,
        dtypes=tuple(sorted({tensor.dtype for tensor in header.values()})),
        numbers=sum(int(np.prod(tensor.shape)) for tensor in header.values()),
        modules=modules,
        metadata=metadata,
    )


Parts = dict[str, np.ndarray]


def _pieces(header: Mapping[str, TensorHeader], naming: Naming) -> dict[str, list[dict[str, TensorHeader]]]:
    """The modules by the Linears' names; in diffusers' naming several of them share the rows of one."""
    modules: dict[str, dict[str, TensorHeader]] = {}
    for name, tensor in header.items():
        module, part = module_and_part(name, naming)
        modules.setdefault(module, {})[part] = tensor
    pieces: dict[str, list[dict[str, TensorHeader]]] = {}
    for module, parts in modules.items():
        ours = place_in_blocks(module)[0] if naming == "diffusers" else module
        pieces.setdefault(ours, []).append(parts)
    return pieces


def _read_parts(file: BinaryIO, parts: Mapping[str, TensorHeader]) -> Parts:
    """The tensors; an alpha of one number without its axes."""
    read = {part: read_tensor(file, tensor) for part, tensor in parts.items()}
    if "alpha" in read and read["alpha"].size == 1:
        read["alpha"] = read["alpha"].reshape(())
    return read


def _module(name: str, pieces: list[Parts], naming: Naming) -> ModuleFacts:
    """Rows of several pieces are other rows of the weight, so the squares of their norms add up."""
    for parts in pieces:
        if fault := fault_of_parts(parts):
            raise ModelFileError(f"{name}: {fault}", hint="the file is damaged, or holds a network of another kind")
    kind = kind_of_parts(pieces[0]) or LORA
    rank = _joined_rank([parts["lora_down.weight"] for parts in pieces]) if len(pieces) > 1 else _rank(kind, pieces[0])
    shapes = [_shape(kind, parts) for parts in pieces]
    alpha = float(pieces[0].get("alpha", 0)) or rank
    with np.errstate(over="ignore", invalid="ignore"):
        norm = float(np.sqrt(sum(_norm(kind, parts) ** 2 for parts in pieces)))
    return ModuleFacts(
        name=name,
        kind=kind,
        shape=(sum(shape[0] for shape in shapes), shapes[0][1]),
        rank=rank,
        alpha=None if rank is None else float(rank if naming == "diffusers" else alpha),
        numbers=sum(tensor.size for parts in pieces for part, tensor in parts.items() if part != "alpha"),
        norm=norm,
    )


def _rank(kind: str, parts: Parts) -> int | None:
    if kind == LORA:
        return parts["lora_down.weight"].shape[0]
    if kind == LOHA:
        return parts["hada_w1_b"].shape[0]
    return parts["lokr_w2_a"].shape[1] if "lokr_w2_a" in parts else None


def _joined_rank(downs: list[np.ndarray]) -> int:
    """Of several LoRAs with rows of one Linear each: that of one where all have the same matrix, else they add up."""
    is_shared = all(np.array_equal(downs[0], down) for down in downs[1:])
    return len(downs[0]) if is_shared else sum(len(down) for down in downs)


def _shape(kind: str, parts: Parts) -> tuple[int, int]:
    if kind == LORA:
        return parts["lora_up.weight"].shape[0], parts["lora_down.weight"].shape[1]
    if kind == LOHA:
        return parts["hada_w1_a"].shape[0], parts["hada_w1_b"].shape[1]
    rows, columns = parts["lokr_w1"].shape
    if "lokr_w2" in parts:
        return rows * parts["lokr_w2"].shape[0], columns * parts["lokr_w2"].shape[1]
    return rows * parts["lokr_w2_a"].shape[0], columns * parts["lokr_w2_b"].shape[1]


def _norm(kind: str, parts: Parts) -> float:
    """Frobenius' norm of the change of the weight, which is never made as a whole."""
    rank = _rank(kind, parts)
    scale = 1.0 if rank is None else (float(parts.get("alpha", 0)) or rank) / rank
    if kind == LORA:
        return scale * _product_norm(parts["lora_up.weight"], parts["lora_down.weight"])
    if kind == LOHA:
        return scale * _loha_norm(parts)
    smaller = float(np.linalg.norm(parts["lokr_w1"]))
    if rank is None:
        return smaller * float(np.linalg.norm(parts["lokr_w2"]))
    return scale * smaller * _product_norm(parts["lokr_w2_a"], parts["lokr_w2_b"])


def _product_norm(left: np.ndarray, right: np.ndarray) -> float:
    """Of left @ right, from the Gram matrices of the small axis: |LR|^2 = sum((L^T L) * (R R^T))."""
    squared = float(np.sum((left.T @ left).astype(np.float64) * (right @ right.T).astype(np.float64)))
    return float(np.sqrt(max(squared, 0.0))) if squared == squared else squared  # NaN stays


def _loha_norm(parts: Parts) -> float:
    squared = 0.0
    for start in range(0, len(parts["hada_w1_a"]), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        change = (parts["hada_w1_a"][rows] @ parts["hada_w1_b"]) * (parts["hada_w2_a"][rows] @ parts["hada_w2_b"])
        squared += float(np.sum(change.astype(np.float64) ** 2))
    return float(np.sqrt(squared))
