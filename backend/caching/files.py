"""Cache files of latents and of text encoder outputs, in the format that musubi-tuner writes and reads."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from backend.atomic_file import is_disk_full, replaced
from backend.dataset.cached import TEXT_PARTS, tensor_name, text_problem
from backend.errors import DatasetError, UserError

_ARCHITECTURE = "hunyuan_video"
_FORMAT_VERSION = "1.0.1"
_HEADER_MULTIPLE = 256  # the tensors then begin at an address that a device can map
_STORED_TYPES = {
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.int64: "I64",
}

_logger = logging.getLogger(__name__)


def write_latent_cache(path: Path, latents: Tensor, *, size: tuple[int, int], frame_count: int | None = None) -> None:
    """Write the latents of one picture or frame window, replacing the file at once.

    latents: (16, F, H, W), unscaled. size: width and height as in the file's name. frame_count: in pixels, None for a
    picture.
    """
    _, frames, height, width = latents.shape
    metadata = {
        "architecture": _ARCHITECTURE,
        "width": str(size[0]),
        "height": str(size[1]),
        "format_version": _FORMAT_VERSION,
    }
    if frame_count is not None:
        metadata["frame_count"] = str(frame_count)
    name = f"latents_{frames}x{height}x{width}_{_dtype_name(latents)}"
    _write(path, {name: _without_nan(latents, path)}, metadata=metadata)


def write_llm_cache(path: Path, states: Tensor, *, mask: Tensor, caption: str) -> None:
    """Write or replace the language model's part of a text file. states: (256, D), mask: (256,)."""
    tensors = {f"llm_{_dtype_name(states)}": _without_nan(states, path), "llm_mask": mask}
    _merge(path, tensors, caption=caption)


def write_clip_cache(path: Path, pooled: Tensor, *, mask: Tensor, caption: str) -> None:
    """Write or replace CLIP's part of a text file. pooled: (D,), mask: (77,)."""
    tensors = {f"clipL_{_dtype_name(pooled)}": _without_nan(pooled, path), "clipL_mask": mask}
    _merge(path, tensors, caption=caption)


def read_latents(path: Path) -> Tensor:
    """The latents (16, F, H, W) of a cache file, in whatever dtype they were stored, unscaled."""
    for name, tensor in _read(path)[0].items():
        if name.startswith("latents_"):
            return tensor
    raise DatasetError(f"{path}: no latents in this file", hint="delete it and cache the latents again")


def read_text(path: Path) -> dict[str, Tensor]:
    """llm (256, D), llm_mask (256,), clipL (D,) and, where stored, clipL_mask (77,); DatasetError if one is missing."""
    tensors = {tensor_name(name): tensor for name, tensor in _read(path)[0].items()}
    if missing := [name for names in TEXT_PARTS.values() for name in names if name not in tensors]:
        raise DatasetError(f"{path}: {', '.join(missing)} missing", hint="cache the text encoder outputs again")
    return tensors


def _merge(path: Path, tensors: dict[str, Tensor], *, caption: str) -> None:
    """Write these tensors, then those of the file that are there under other names.

    Each encoder writes in its own pass; the other's tensors stay unless they were made from another caption.
    """
    metadata: dict[str, str] = {}
    if any(text_problem(path, caption=caption, parts=[part]) is None for part in TEXT_PARTS):
        kept, metadata = _read(path)
        replaced = {tensor_name(name) for name in tensors}
        tensors = tensors | {name: kept[name] for name in kept if tensor_name(name) not in replaced}
    wanted = {"architecture": _ARCHITECTURE, "caption1": caption, "format_version": _FORMAT_VERSION}
    _write(path, tensors, metadata={**wanted, **metadata, **wanted})


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        cause = "missing_file" if isinstance(error, FileNotFoundError) else "damaged_file"
        raise DatasetError(f"{path}: cannot be read: {error}", hint="delete it and cache again", cause=cause) from error


def _write(path: Path, tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str]) -> None:
    """A safetensors file with its tensors in this order, whole or not there; UserError if the disk refuses."""
    content = [_header(tensors, metadata), *map(_bytes_of, tensors.values())]
    try:
        with replaced(path) as temporary, temporary.open("wb") as file:
            file.writelines(content)
    except OSError as error:
        cause = "disk_full" if is_disk_full(error) else ""
        raise UserError(
            f"{path}: cannot be written: {error.strerror}", hint="is the disk full?", cause=cause
        ) from error


def _header(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Eight bytes of length and the JSON, padded with spaces so that both together fill a multiple of 256 bytes."""
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        entries[name] = {
            "dtype": _STORED_TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(entries).encode()
    text += b" " * (-(len(text) + 8) % _HEADER_MULTIPLE)
    return len(text).to_bytes(8, "little") + text


def _bytes_of(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def _without_nan(tensor: Tensor, path: Path) -> Tensor:
    count = int(tensor.isnan().sum())
    if not count:
        return tensor
    _logger.warning("%s: %d of %d values are not numbers and are stored as 0", path.name, count, tensor.numel())
    return torch.where(tensor.isnan(), torch.zeros_like(tensor), tensor)


def _dtype_name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
