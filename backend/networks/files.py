"""LoRA files: writing them safely with their hashes, and reading them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from backend.atomic_file import is_disk_full, replaced
from backend.errors import ModelFileError, UserError
from backend.plan.weights_header import kind_of_file, read_header

_LEGACY_HASH_START, _LEGACY_HASH_LENGTH = 0x100000, 0x10000


def save_lora(
    path: Path, state_dict: Mapping[str, Tensor], *, metadata: Mapping[str, str], dtype: torch.dtype | None
) -> None:
    """Write a LoRA file whose tensors, alpha included, are all cast to dtype, or to None; the folder is created.

    Adds sshs_model_hash and sshs_legacy_hash to the metadata. The file appears under its name only when it is complete,
    and replaces an older one at once. Raises UserError if it cannot be written.
    """
    tensors = {key: tensor.detach().to("cpu", dtype or tensor.dtype).contiguous() for key, tensor in state_dict.items()}
    # The legacy hash is defined on a file with the ss_ keys only: write and hash that, then the real one over it.
    hashed = {key: value for key, value in metadata.items() if key.startswith("ss_")}
    try:
        with replaced(path) as temporary:
            save_file(tensors, temporary, metadata=hashed)
            save_file(tensors, temporary, metadata={**metadata, **_hashes(temporary)})
    except (OSError, SafetensorError) as error:
        cause = "disk_full" if is_disk_full(error, path) else ""
        hint = "check the free space and the folder"
        raise UserError(f"{path}: cannot be written: {error}", hint=hint, cause=cause) from error


def load_lora(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a LoRA file, on the CPU in the file's dtype, and its metadata.

    Raises ModelFileError if the file is missing, damaged, or holds no LoRA.
    """
    header, metadata = read_header(path)
    kind = kind_of_file(header)
    if kind != "LoRA":
        raise ModelFileError(f"{path}: a LoRA file is wanted, but this file seems to be: {kind}")
    return load_file(path), metadata


def _hashes(path: Path) -> dict[str, str]:
    """The two hashes that model managers look a LoRA up by.

    sshs_model_hash: SHA-256 of the tensor data, which begins after the 8-byte length and the header. sshs_legacy_hash:
    the first 8 digits of the SHA-256 of 64 KiB from 1 MiB on; a shorter file gives the hash of nothing, e3b0c442.
    """
    with path.open("rb") as file:
        header_length = int.from_bytes(file.read(8), "little")
        file.seek(8 + header_length)
        model_hash = hashlib.sha256()
        while block := file.read(1 << 20):
            model_hash.update(block)
        file.seek(_LEGACY_HASH_START)
        legacy_hash = hashlib.sha256(file.read(_LEGACY_HASH_LENGTH))
    return {"sshs_model_hash": model_hash.hexdigest(), "sshs_legacy_hash": legacy_hash.hexdigest()[:8]}
