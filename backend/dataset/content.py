"""Digests of files: whether two hold the same, and whether one still holds what it did."""

from __future__ import annotations

import hashlib
from pathlib import Path

from backend.dataset.media_files import IMAGE_EXTENSIONS, files_of

_SAMPLE = 64 * 1024
_CHUNK = 1024 * 1024


def sample_digest(path: Path) -> str:
    """32 hex digits from the size and 64 KiB each of beginning, middle and end: quick, and changed by any re-encoding.

    Of a folder of pictures: of all of them with their names. Raises OSError.
    """
    digest = hashlib.blake2b(digest_size=16)
    if path.is_dir():
        for each in files_of(path, IMAGE_EXTENSIONS):
            digest.update(f"{each.name}\0{sample_digest(each)}\0".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()
    with path.open("rb") as file:
        size = file.seek(0, 2)
        digest.update(f"{size}\0".encode())
        for start in sorted({0, max(0, (size - _SAMPLE) // 2), max(0, size - _SAMPLE)}):
            file.seek(start)
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def whole_digest(path: Path) -> str:
    """32 hex digits from all of a file. Raises OSError."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
