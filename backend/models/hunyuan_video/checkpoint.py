"""Reads a HunyuanVideo transformer from the released .pt file or a .safetensors file with the same names."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from backend.errors import ModelFileError, Problem
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.plan.modules import shape_from_header
from backend.plan.weights_header import (
    DOWNLOAD_AGAIN,
    HUNYUAN_VIDEO_TRANSFORMER,
    kind_of_file,
    read_header,
    size_of_file,
    strip_prefix,
)

SCALED_FP8 = "fp8 files with scales are not supported, choose the bf16 file"

_NAMES_SHOWN = 3


def load_transformer(
    path: Path, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> HunyuanVideoTransformer:
    """The transformer with the weights of a file, frozen, in eval mode. dtype: None keeps the file's.

    Any size of the family: the file's shapes tell which. Raises ModelFileError, before any weight is read, for a file
    that is missing, damaged, of another kind, or lacks a tensor.
    """
    weights = read_state_dict(path)
    if (kind := kind_of_file(weights)) != HUNYUAN_VIDEO_TRANSFORMER:
        raise _wrong_kind(path, kind, names=weights)
    try:
        shape = shape_from_header({name: tuple(tensor.shape) for name, tensor in weights.items()})
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    with torch.device("meta"):
        model = HunyuanVideoTransformer(shape)
    if problems := _differences(path, expected=model.state_dict(), found=weights):
        raise ModelFileError.of(problems)

    placed = {name: tensor.to(device=device, dtype=dtype or tensor.dtype) for name, tensor in weights.items()}
    model.load_state_dict(placed, assign=True)
    return model.eval().requires_grad_(False)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name, a common prefix cut off; memory-mapped, so read only when they are used.

    Files that do not end in .safetensors are read as PyTorch's, with or without the released file's outer key `module`.
    Raises ModelFileError if the file is missing or damaged.
    """
    path = Path(path)
    weights = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_torch(path)
    start = len(strip_prefix(weights))
    return {name[start:]: tensor for name, tensor in weights.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    read_header(path)  # tells what is wrong with a file in words
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise ModelFileError(f"{path}: damaged ({error})", hint=DOWNLOAD_AGAIN) from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    size_of_file(path)
    try:
        container = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise ModelFileError(f"{path}: cannot be read as a PyTorch weights file", hint=DOWNLOAD_AGAIN) from error
    weights = container.get("module", container) if isinstance(container, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise ModelFileError(f"{path}: holds something else than named tensors, alone or under the key 'module'")
    return weights


def _wrong_kind(path: Path, kind: str, *, names: Collection[str]) -> ModelFileError:
    seems = f"seems to be: {kind}" if kind != "unknown" else f"has {len(names)} tensors, such as {_some(sorted(names))}"
    return ModelFileError(
        f"{path}: not a {HUNYUAN_VIDEO_TRANSFORMER}; the file {seems}",
        hint="choose mp_rank_00_model_states.pt as released, or a .safetensors file with the same names",
    )


def _differences(path: Path, *, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[Problem]:
    """One problem for missing, one for unexpected, and one for misshapen tensors."""
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    misshapen = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in found and found[name].shape != expected[name].shape
    ]
    problems = (
        (missing, "missing", DOWNLOAD_AGAIN),
        (unexpected, "unexpected", SCALED_FP8 if _has_scales(unexpected) else ""),
        (misshapen, "of another shape", ""),
    )
    return [
        Problem(
            f"{path}: {len(names)} {'tensor is' if len(names) == 1 else 'tensors are'} {what}: {_some(names)}", hint
        )
        for names, what, hint in problems
        if names
    ]


def _has_scales(names: Collection[str]) -> bool:
    return any(name.endswith(("scale_weight", "weight_scale", "scaled_fp8")) for name in names)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown}, …" if len(names) > _NAMES_SHOWN else shown
