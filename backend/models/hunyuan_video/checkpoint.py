"""Reads a HunyuanVideo transformer from the released .pt file or a .safetensors file with the same names."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch

from backend.errors import ModelFileError
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.models.weight_files import fill_model, read_tensors, some
from backend.plan.modules import shape_from_header
from backend.plan.weights_header import HUNYUAN_VIDEO_TRANSFORMER, kind_of_file, strip_prefix


def load_transformer(
    path: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> HunyuanVideoTransformer:
    """The transformer with the weights of a file, frozen, in eval mode. dtype: None keeps the file's.

    Any size of the family: the shapes tell which; a common prefix of the names is cut off. Raises ModelFileError,
    before any weight is read, for a file that is missing, damaged, of another kind, or lacks a tensor.
    """
    path = Path(path)
    tensors = read_tensors(path)
    start = len(strip_prefix(tensors))
    weights = {name[start:]: tensor for name, tensor in tensors.items()}
    if (kind := kind_of_file(weights)) != HUNYUAN_VIDEO_TRANSFORMER:
        raise _wrong_kind(path, kind, names=weights)
    try:
        shape = shape_from_header({name: tuple(tensor.shape) for name, tensor in weights.items()})
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    with torch.device("meta"):
        model = HunyuanVideoTransformer(shape)
    fill_model(model, weights, path=path, device=device, dtype=dtype)
    return model


def _wrong_kind(path: Path, kind: str, *, names: Collection[str]) -> ModelFileError:
    seems = f"seems to be: {kind}" if kind != "unknown" else f"has {len(names)} tensors, such as {some(sorted(names))}"
    return ModelFileError(
        f"{path}: not a {HUNYUAN_VIDEO_TRANSFORMER}; the file {seems}",
        hint="choose mp_rank_00_model_states.pt as released, or a .safetensors file with the same names",
    )
