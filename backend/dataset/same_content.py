"""Same content: which files of a dataset are copies of one another, with as little reading as that takes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from stat import S_ISREG

from backend.dataset.content import sample_digest, whole_digest
from backend.dataset.file_index import FileIndex


def same_content(paths: Iterable[Path], index: FileIndex) -> dict[Path, Path]:
    """Each file that holds the same bytes as one before it, with that one; what cannot be read is no copy.

    Only files of one size are looked into, and read wholly only if they look alike. Folders are passed over.
    """
    groups = _split([list(paths)], _size)
    groups = _split(groups, lambda path: index.digest(path, "sample", sample_digest))
    groups = _split(groups, lambda path: index.digest(path, "whole", whole_digest))
    return {path: first for first, *others in groups for path in others}


def _size(path: Path) -> int | None:
    status = path.stat()
    return status.st_size if S_ISREG(status.st_mode) else None


def _split(groups: Iterable[list[Path]], key_of: Callable[[Path], Hashable]) -> list[list[Path]]:
    """Each group by a key, without what has no key, or a key that no other has."""
    found: list[list[Path]] = []
    for group in groups:
        by_key: dict[Hashable, list[Path]] = {}
        for path in group:
            try:
                key = key_of(path)
            except OSError:
                continue
            if key:
                by_key.setdefault(key, []).append(path)
        found += [paths for paths in by_key.values() if len(paths) > 1]
    return found
