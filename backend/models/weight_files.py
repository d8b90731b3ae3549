"""Weights files read and put into a model, with every name and shape checked."""

from __future__ import annotations

import ctypes
import mmap
import pickle
import sys
import zipfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from backend.errors import ModelFileError, Problem
from backend.plan.weights_header import DOWNLOAD_AGAIN, kind_of_file, read_header, size_of_file

SCALED_FP8 = "fp8 files with scales are not supported, choose the bf16 file"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of PyTorch's own format, by name.

    They lie in mapped memory: only what is used is read from the disk. Of a PyTorch file no code is run, and the outer
    keys `module` (the released transformer) and `state_dict` are unwrapped. Raises ModelFileError if the file is
    missing, damaged, or holds something else.
    """
    if path.suffix.lower() == ".safetensors":
        read_header(path)  # tells what is wrong with a file in words
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ModelFileError(f"{path}: damaged ({error})", hint=DOWNLOAD_AGAIN, cause="damaged_file") from error
    size_of_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
        message = f"{path}: cannot be read as a PyTorch weights file"
        raise ModelFileError(message, hint=DOWNLOAD_AGAIN, cause="damaged_file") from error
    for outer in ("module", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(outer), Mapping):
            content = content[outer]
    if not isinstance(content, Mapping) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise ModelFileError(f"{path}: holds something else than named tensors, alone or under the key 'module'")
    return dict(content)


Convert = Callable[[str, Tensor], Mapping[str, Tensor]]
"""From the name and tensor of a file, placed and in its dtype, to what the model keeps of it."""


def fill_model(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    path: Path,
    device: str | torch.device,
    dtype: torch.dtype | None,
    convert: Convert | None = None,
) -> None:
    """Give a model (which may lie on the meta device) exactly these weights, frozen and in eval mode.

    dtype: None keeps that of each tensor. convert: changes a tensor once it is placed. Raises ModelFileError with a
    problem for missing, one for unexpected and one for misshapen tensors.
    """
    check_names_and_shapes(model.state_dict(), tensors, path=path)
    place_weights(model, tensors, device=device, dtype=dtype, convert=convert)


def place_weights(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    *,
    device: str | torch.device,
    dtype: torch.dtype | None,
    convert: Convert | None = None,
    in_cpu_memory: tuple[str, ...] = (),
) -> None:
    """Give a model these weights, frozen and in eval mode; one after the other, so that no second copy of all exists.

    in_cpu_memory: the beginnings of the names of those that stay off the device, as copies that the file is not needed
    for. Mapped memory that was copied from is given back at once.
    """
    placed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        stays = name.startswith(in_cpu_memory)
        moved = tensor.to(device="cpu" if stays else device, dtype=dtype or tensor.dtype, copy=stays)
        placed |= convert(name, moved) if convert else {name: moved}
        if moved.data_ptr() != tensor.data_ptr():
            _give_back(tensor)
    model.load_state_dict(placed, assign=True)
    model.eval().requires_grad_(False)


def _give_back(tensor: Tensor) -> None:
    """Let Linux drop the pages of a tensor that was read from mapped memory; they would be read again if needed.

    Without it a file that is converted counts twice until its last tensor is read. Other systems take pages back when
    they need them.
    """
    if sys.platform != "linux" or tensor.device.type != "cpu":
        return
    start = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (tensor.data_ptr() + tensor.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    if end > start:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_PAGEOUT)


_MADV_PAGEOUT = 21  # changes nothing of what the memory holds, whatever it is mapped from


def check_names_and_shapes(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], *, path: Path) -> None:
    """Raise ModelFileError unless both have the same names with the same shapes."""
    missing = [name for name in wanted if name not in found]
    unexpected = [name for name in found if name not in wanted]
    misshapen = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    kinds = (
        (missing, "missing", DOWNLOAD_AGAIN),
        (unexpected, "unexpected", SCALED_FP8 if _has_scales(unexpected) else ""),
        (misshapen, "of another shape", ""),
    )
    problems = [
        Problem(f"{path}: {len(names)} {'tensor is' if len(names) == 1 else 'tensors are'} {what}: {some(names)}", hint)
        for names, what, hint in kinds
        if names
    ]
    if problems:
        raise ModelFileError.of(problems)


def some(names: Sequence[str]) -> str:
    """The first three names, and a sign that there are more."""
    shown = ", ".join(names[:3])
    return f"{shown}, …" if len(names) > 3 else shown


def wrong_kind(path: Path, names: Iterable[str], *, wanted: str) -> ModelFileError:
    """The error for a weights file that holds another kind of model than the option asks for."""
    return ModelFileError(f"{path}: this is a file of kind '{kind_of_file(list(names))}', wanted: {wanted}")


def _has_scales(names: Collection[str]) -> bool:
    return any(name.endswith(("scale_weight", "weight_scale", "scaled_fp8")) for name in names)
