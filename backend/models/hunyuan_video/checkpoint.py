"""Reads a HunyuanVideo transformer from the released .pt file or a .safetensors file with the same names."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import torch
from torch import Tensor

from backend.errors import ModelFileError
from backend.models.hunyuan_video.fp8 import Float8Kind, keep_in_float8, to_float8
from backend.models.hunyuan_video.offload import WeightRing
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.models.weight_files import check_names_and_shapes, place_weights, read_tensors, some
from backend.plan.block_swap import BlockSwap
from backend.plan.modules import block_linears, shape_from_header
from backend.plan.weights_header import HUNYUAN_VIDEO_TRANSFORMER, kind_of_file, strip_prefix

Merge = Callable[[str, Tensor], Tensor]
"""From the name of a Linear and its weight to the weight that is used."""


def load_transformer(
    path: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    merge: Merge | None = None,
    float8: Float8Kind | None = None,
    swap: BlockSwap | None = None,
) -> HunyuanVideoTransformer:
    """The transformer with the weights of a file, frozen, in eval mode. dtype: None keeps the file's.

    Any size of the family: the shapes tell which; a common prefix of the names is cut off. merge: changes the weight of
    a module of that name while it is read. float8: how the Linears of the blocks are kept in 8 bits, after merging.
    swap: what is kept in CPU memory; it is never on the device before it is used.
    Raises, before any weight is read, ModelFileError for a file that is missing, damaged, of another kind, or lacks a
    tensor, and OptionError for more blocks to swap than there are.
    """
    path = Path(path)
    tensors = read_tensors(path)
    start = len(strip_prefix(tensors))
    weights = {name[start:]: tensor for name, tensor in tensors.items()}
    if (kind := kind_of_file(weights)) != HUNYUAN_VIDEO_TRANSFORMER:
        raise _wrong_kind(path, kind, names=weights)
    shape = shape_from_header({name: tuple(tensor.shape) for name, tensor in weights.items()}, path=path)
    parts = swap.parts(shape) if swap else []
    with torch.device("meta"):
        model = HunyuanVideoTransformer(shape)
        check_names_and_shapes(model.state_dict(), weights, path=path)
        linears = {f"{linear.name}.weight": linear.name for linear in block_linears(shape)}
        if float8:
            keep_in_float8(model, linears.values(), float8)

    def convert(name: str, tensor: Tensor) -> dict[str, Tensor]:
        if name not in linears:
            return {name: tensor}
        merged = merge(linears[name], tensor) if merge else tensor
        if not float8:
            return {name: merged}
        small, scale = to_float8(merged, float8)
        return {name: small} if scale is None else {name: small, f"{linears[name]}.scale": scale}

    swapped = tuple(f"{name}." for part in parts for name in part)
    place_weights(model, weights, device=device, dtype=dtype, convert=convert, in_cpu_memory=swapped)
    if swap:
        modules = [[model.get_submodule(name) for name in part] for part in parts]
        model.weight_ring = WeightRing(modules, device=device, slots=swap.slots, pinned=swap.pinned)
    return model


def _wrong_kind(path: Path, kind: str, *, names: Collection[str]) -> ModelFileError:
    seems = f"seems to be: {kind}" if kind != "unknown" else f"has {len(names)} tensors, such as {some(sorted(names))}"
    return ModelFileError(
        f"{path}: not a {HUNYUAN_VIDEO_TRANSFORMER}; the file {seems}",
        hint="choose mp_rank_00_model_states.pt as released, or a .safetensors file with the same names",
    )
