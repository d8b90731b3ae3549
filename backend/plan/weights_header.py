"""What a .safetensors file holds, from its header alone, and what kind of file that makes it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from backend.errors import ModelFileError

HUNYUAN_VIDEO_TRANSFORMER = "HunyuanVideo transformer"

DOWNLOAD_AGAIN = "download or copy it again"

# Longest first: "model." is the beginning of two others.
_PREFIXES = ("model.diffusion_model.", "model.model.", "diffusion_model.", "transformer.", "module.", "model.")

# A name that only this kind of file has; the first that is found decides.
_TELLTALES = (
    ("LoRA", re.compile(r"\.(lora_(down|up|A|B)\b|hada_w1_a$|lokr_w[12])")),
    (HUNYUAN_VIDEO_TRANSFORMER, re.compile(r"^double_blocks\.\d+\.img_attn_qkv\.weight$")),
    ("FramePack transformer", re.compile(r"^clean_x_embedder\.")),
    ("diffusers HunyuanVideo transformer", re.compile(r"^context_embedder\.token_refiner\.")),
    ("FLUX transformer", re.compile(r"^double_blocks\.\d+\.img_attn\.qkv\.weight$")),
    ("Wan transformer", re.compile(r"^blocks\.\d+\.cross_attn\.norm_k\.weight$")),
    ("HunyuanVideo VAE", re.compile(r"^(encoder|decoder)\.(down|up)_blocks\.\d+\.resnets\.\d+\.conv1\.conv\.weight$")),
    ("VAE of another model", re.compile(r"^(encoder|decoder)\.(conv_in|conv1|down|down_blocks)\.")),
    ("Llama text encoder", re.compile(r"(^|\.)layers\.\d+\.mlp\.gate_proj\.weight$")),
    ("CLIP text encoder", re.compile(r"(^|\.)embeddings\.token_embedding\.weight$")),
)

FILE_KINDS = (*(kind for kind, _ in _TELLTALES), "unknown")
"""What `kind_of_file` can say."""


@dataclass(frozen=True)
class TensorHeader:
    """One tensor of a file. dtype: as the file spells it, such as "BF16". start: of its first byte in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int = field(default=0, compare=False)


def read_header(path: Path) -> tuple[dict[str, TensorHeader], dict[str, str]]:
    """The tensors and the metadata that a .safetensors file declares; no tensor is read.

    Raises ModelFileError if the file is missing, is no safetensors file, or is shorter than its header says.
    Source: https://huggingface.co/docs/safetensors, section "Format".
    """
    size = size_of_file(path)
    header, data_start = _parse_header(path, size)
    metadata = header.pop("__metadata__", {})
    try:
        tensors = {
            name: TensorHeader(entry["dtype"], tuple(entry["shape"]), data_start + entry["data_offsets"][0])
            for name, entry in header.items()
        }
        expected_size = data_start + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except (TypeError, KeyError, IndexError) as error:
        raise _not_safetensors(path) from error
    if size < expected_size:
        raise ModelFileError(
            f"{path}: cut short, {size} of {expected_size} bytes", hint=DOWNLOAD_AGAIN, cause="damaged_file"
        )
    return tensors, metadata


def size_of_file(path: Path) -> int:
    """The size in bytes of a file that can be read and is not empty. Raises ModelFileError otherwise."""
    try:
        if path.is_dir():
            raise ModelFileError(f"{path}: this is a folder, a file is wanted")
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: there is no such file", hint="check the path", cause="missing_file") from error
    except OSError as error:  # no permission, a name that is too long, a disk that is gone
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from error
    if size == 0:
        raise ModelFileError(f"{path}: the file is empty", hint=DOWNLOAD_AGAIN, cause="damaged_file")
    return size


def strip_prefix(names: Iterable[str]) -> str:
    """The prefix of a known kind that all names share, to be cut off; "" if there is none."""
    names = list(names)
    return next((prefix for prefix in _PREFIXES if names and all(name.startswith(prefix) for name in names)), "")


def kind_of_file(names: Collection[str]) -> str:
    """What a file with these tensor names seems to be, in words; "unknown" if nothing fits."""
    start = len(strip_prefix(names))
    for kind, telltale in _TELLTALES:
        if any(telltale.search(name[start:]) for name in names):
            return kind
    return "unknown"


def _parse_header(path: Path, size: int) -> tuple[dict[str, dict], int]:
    """The header's JSON object and the position where the tensors begin."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > size - 8:  # a page of HTML or a pointer file of Git LFS gives an absurd length here
            raise _not_safetensors(path)
        text = file.read(length)
    try:
        header = json.loads(text)
    except ValueError as error:
        raise _not_safetensors(path) from error
    if not isinstance(header, dict):
        raise _not_safetensors(path)
    return header, 8 + length


def _not_safetensors(path: Path) -> ModelFileError:
    return ModelFileError(f"{path}: not a safetensors file, or cut short within its header", hint=DOWNLOAD_AGAIN)
