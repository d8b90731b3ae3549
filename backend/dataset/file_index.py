"""Index of files: what was read from pictures, clips, captions and caches, kept on disk until a file changes."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.atomic_file import write_text
from backend.dataset.cache_header import CacheHeader, read_cache_header
from backend.dataset.media_facts import Kind, MediaFacts, read_facts
from backend.errors import DatasetError, Problem, UserError

_VERSION = 1

Entries = dict[str, list[Any]]
"""By the file's name: its size, its time in ns, and what was read from it."""


class FileIndex:
    """Remembers what was read from each file, by path, size and time; any thread may ask.

    folder: where it is kept, one file for each folder that was looked into; None keeps it in memory only.
    Its methods stand in for `read_facts` and `read_cache_header`, and raise what these raise.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._shards: dict[tuple[str, str], Entries] = {}
        self._changed: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def facts(self, path: Path, kind: Kind, *, limit: int | None = None) -> MediaFacts:
        """As `read_facts`; frames are counted to the end, whatever the limit, as others will ask for them."""
        del limit
        value = self._value(path, kind, lambda: _dumped_facts(path, kind))
        if "problem" in value:
            raise DatasetError.of([Problem(**value["problem"])])
        return MediaFacts(**{**value, "size": tuple(value["size"])})

    def header(self, path: Path) -> CacheHeader:
        """As `read_cache_header`."""
        value = self._value(path, "cache", lambda: read_cache_header(path).as_json(), keep=lambda value: not value[-1])
        return CacheHeader.from_json(value)

    def digest(self, path: Path, what: str, compute: Callable[[Path], str]) -> str:
        """What `compute` makes of the file's content, under a name of its own. Raises what it raises."""
        return self._value(path, what, lambda: compute(path))

    def save(self) -> None:
        """Write what is new to the disk, without the files that are gone. Raises UserError if the disk refuses."""
        if self._folder is None:
            return
        with self._lock:
            for key in self._changed:
                entries = {name: entry for name, entry in self._shards[key].items() if (Path(key[0]) / name).exists()}
                content = json.dumps({"version": _VERSION, "entries": entries})  # ASCII: names may be no UTF-8
                try:
                    write_text(_shard_path(self._folder, key), content, durable=False)
                except OSError as error:
                    raise UserError(
                        f"{self._folder}: cannot be written: {error.strerror}", hint="is the disk full?"
                    ) from error
            self._changed.clear()

    def _value(
        self, path: Path, what: str, read: Callable[[], Any], *, keep: Callable[[Any], bool] = lambda _value: True
    ) -> Any:
        """What is remembered of the file, or else what reading gives; keep: whether that is worth remembering."""
        try:
            status = os.stat(path)  # noqa: PTH116 - half the time of Path.stat, for 20,000 files
        except OSError:
            return read()
        folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 - as above, and links stay apart
        key = (folder, what)
        entries = self._entries(key)
        entry = entries.get(name)
        if entry is not None and entry[0] == status.st_size and entry[1] == status.st_mtime_ns:
            return entry[2]
        value = read()
        if keep(value):
            with self._lock:
                entries[name] = [status.st_size, status.st_mtime_ns, value]
                self._changed.add(key)
        return value

    def _entries(self, key: tuple[str, str]) -> Entries:
        with self._lock:
            if key not in self._shards:
                self._shards[key] = {} if self._folder is None else _load(_shard_path(self._folder, key))
            return self._shards[key]


def _dumped_facts(path: Path, kind: Kind) -> dict[str, Any]:
    """The facts, or what is wrong with the file; a refused permission is not the file's and is raised."""
    try:
        return asdict(read_facts(path, kind))
    except DatasetError as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        return {"problem": asdict(error.problems[0])}


def _shard_path(folder: Path, key: tuple[str, str]) -> Path:
    digest = hashlib.sha256("\0".join(key).encode("utf-8", "surrogateescape")).hexdigest()
    return folder / f"{digest[:32]}.json"


def _load(path: Path) -> Entries:
    """The entries of one file; none if it is missing, damaged or of another version, as all can be read again."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content["entries"] if content.get("version") == _VERSION else {}
