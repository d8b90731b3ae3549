"""Weights files read and put into a model, with every name and shape checked."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from backend.errors import ModelFileError
from backend.plan.weights_header import DOWNLOAD_AGAIN, kind_of_file, read_header, size_of_file


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """All tensors of a .safetensors file, or of a .pt / .bin file without running any code in it.

    The tensors lie in mapped memory, so that only those that are used are read from the disk. A state dict that a
    checkpoint holds under `state_dict` is unwrapped. Raises ModelFileError if the file is missing or damaged.
    """
    if path.suffix.lower() == ".safetensors":
        read_header(path)  # tells what is wrong with a file in words
        return load_file(path)
    size_of_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise ModelFileError(f"{path}: cannot be read as a PyTorch weights file", hint=DOWNLOAD_AGAIN) from error
    if isinstance(content, Mapping):
        content = content.get("state_dict", content)
    if not isinstance(content, Mapping):
        raise ModelFileError(f"{path}: holds a {type(content).__name__}, wanted tensors by name")
    return {name: tensor for name, tensor in content.items() if isinstance(tensor, torch.Tensor)}


def fill_model(
    model: nn.Module, tensors: Mapping[str, torch.Tensor], *, path: Path, device: str | torch.device, dtype: torch.dtype
) -> None:
    """Give a model (which may lie on the meta device) exactly these weights, on `device` and in `dtype`.

    Raises ModelFileError naming the first missing, unknown or misshapen tensors.
    """
    check_names_and_shapes(model.state_dict(), tensors, path=path)
    placed = {name: tensor.to(device=device, dtype=dtype) for name, tensor in tensors.items()}
    model.load_state_dict(placed, assign=True)
    model.eval().requires_grad_(False)


def check_names_and_shapes(
    wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], *, path: Path
) -> None:
    """Raises ModelFileError unless both have the same names with the same shapes."""
    misshapen = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    faults = [
        f"{len(names)} {what} ({_first(names)})"
        for what, names in (
            ("missing", [name for name in wanted if name not in found]),
            ("unknown", [name for name in found if name not in wanted]),
            ("of another shape", misshapen),
        )
        if names
    ]
    if faults:
        raise ModelFileError(f"{path}: {len(found)} tensors where {len(wanted)} are wanted: {'; '.join(faults)}")


def wrong_kind(path: Path, names: Iterable[str], *, wanted: str) -> ModelFileError:
    """The error for a weights file that holds another kind of model than the option asks for."""
    return ModelFileError(f"{path}: this is a file of kind '{kind_of_file(list(names))}', wanted: {wanted}")


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
