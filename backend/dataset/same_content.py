"""Same content: which files of a dataset are copies of one another, with as little reading as that takes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial
from pathlib import Path
from stat import S_ISREG

from backend.dataset.content import sample_digest, whole_digest
from backend.dataset.file_index import FileIndex


def same_content(
    paths: Iterable[Path], index: FileIndex, *, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> dict[Path, Path]:
    """Each file that holds the same bytes as one before it, with that one; what cannot be read is no copy.

    Only files of one size are looked into, and read wholly only if they look alike. Folders are passed over.
    progress: called with the number of files looked into, and of those to look into; twice, first for parts of them,
    then for those read wholly. What it raises ends the search.
    """
    groups = _split([list(paths)], _size)
    groups = _split(groups, partial(index.digest, what="sample", compute=sample_digest), progress)
    groups = _split(groups, partial(index.digest, what="whole", compute=whole_digest), progress)
    return {path: first for first, *others in groups for path in others}


def _size(path: Path) -> int | None:
    status = path.stat()
    return status.st_size if S_ISREG(status.st_mode) else None


def _split(
    groups: Iterable[list[Path]],
    key_of: Callable[[Path], Hashable],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[list[Path]]:
    """Each group by a key, without what has no key, or a key that no other has."""
    found: list[list[Path]] = []
    groups = list(groups)
    done, total = 0, sum(map(len, groups))
    for group in groups:
        by_key: dict[Hashable, list[Path]] = {}
        for path in group:
            if key := _key(path, key_of):
                by_key.setdefault(key, []).append(path)
            done += 1
            progress(done, total)
        found += [paths for paths in by_key.values() if len(paths) > 1]
    return found


def _key(path: Path, key_of: Callable[[Path], Hashable]) -> Hashable:
    try:
        return key_of(path)
    except OSError:
        return None
