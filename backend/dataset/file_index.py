"""Index of files: what was read from pictures, clips, captions and caches, kept on disk until a file changes."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.atomic_file import write_text
from backend.dataset.cache_header import CacheHeader, read_cache_header
from backend.dataset.items import read_caption
from backend.dataset.media_facts import Kind, MediaFacts, read_facts
from backend.dataset.media_files import missing_plugin
from backend.errors import DatasetError, Problem, UserError

_VERSION = 1

Entries = dict[str, list[Any]]
"""By the file's name: its size, its time in ns, and what was read from it."""


@dataclass(frozen=True)
class _Place:
    """Where in the index a file stands that looks like this."""

    shard: tuple[str, str]
    name: str
    size: int
    time_ns: int


class FileIndex:
    """Remembers what was read from each file, by path, size and time; any thread may ask.

    folder: where it is kept, one file for each folder that was looked into; None keeps it in memory only.
    Its methods stand in for the functions of the same names, and raise what these raise.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._shards: dict[tuple[str, str], Entries] = {}
        self._changed: set[tuple[str, str]] = set()
        self._absolute: dict[str, str] = {}
        self._lock = threading.Lock()

    def facts(self, path: Path, kind: Kind, *, limit: int | None = None) -> MediaFacts:
        """As `read_facts`; frames are counted to the end, whatever the limit, as others will ask for them."""
        del limit
        place, value = self._look_up(path, kind)
        if value is None:
            value = _dumped_facts(path, kind)
            self._remember(place, value)
        facts = _loaded_facts(value)
        if isinstance(facts, DatasetError):
            raise facts
        return facts

    def known_facts(self, path: Path, kind: Kind) -> MediaFacts | DatasetError | None:
        """The facts, or why there are none; None if the file would have to be read for that."""
        value = self._look_up(path, kind)[1]
        return None if value is None else _loaded_facts(value)

    def caption(self, path: Path) -> tuple[str | None, str]:
        """As `read_caption`."""
        place, caption = self._look_up(path, "caption")
        if place is None or caption is not None:
            return caption, ""
        caption, fault = read_caption(path)
        if caption is not None:
            self._remember(place, caption)
        return caption, fault

    def header(self, path: Path) -> CacheHeader:
        """As `read_cache_header`."""
        place, value = self._look_up(path, "cache")
        if value is not None:
            return CacheHeader.from_json(value)
        header = read_cache_header(path)
        if not header.fault:
            self._remember(place, header.as_json())
        return header

    def digest(self, path: Path, what: str, compute: Callable[[Path], str]) -> str:
        """What `compute` makes of the file's content, under a name of its own. Raises what it raises."""
        place, value = self._look_up(path, what)
        if value is None:
            value = compute(path)
            self._remember(place, value)
        return value

    def save(self) -> None:
        """Write what is new to the disk, without the files that are gone. Raises UserError if the disk refuses."""
        if self._folder is None:
            return
        with self._lock:
            for shard in self._changed:
                folder = Path(shard[0])
                entries = {name: entry for name, entry in self._shards[shard].items() if (folder / name).exists()}
                content = json.dumps([_VERSION, entries])  # ASCII: names may be no UTF-8
                try:
                    write_text(_shard_path(self._folder, shard), content, durable=False)
                except OSError as error:
                    message = f"{self._folder}: cannot be written: {error.strerror}"
                    raise UserError(message, hint="is the disk full?") from error
            self._changed.clear()

    def _look_up(self, path: Path, what: str) -> tuple[_Place | None, Any]:
        """What is remembered of the file, or else None and its place, which is None too if the file is gone.

        Of plain texts and calls of os, as 20,000 files are looked up several times in 2 s.
        """
        text = os.fspath(path)
        try:
            status = os.stat(text)  # noqa: PTH116
        except OSError:
            return None, None
        folder, separator, name = text.rpartition(os.sep)
        shard = (self._absolute_folder(folder or separator), what)
        entry = self._entries(shard).get(name)
        if entry is not None and entry[0] == status.st_size and entry[1] == status.st_mtime_ns:
            return None, entry[2]
        return _Place(shard, name, status.st_size, status.st_mtime_ns), None

    def _absolute_folder(self, folder: str) -> str:
        absolute = self._absolute.get(folder)
        if absolute is None:
            absolute = self._absolute[folder] = os.path.abspath(folder)  # noqa: PTH100 - links stay apart
        return absolute

    def _remember(self, place: _Place | None, value: Any) -> None:
        if place is not None:
            with self._lock:
                self._shards[place.shard][place.name] = [place.size, place.time_ns, value]
                self._changed.add(place.shard)

    def _entries(self, shard: tuple[str, str]) -> Entries:
        if (entries := self._shards.get(shard)) is not None:
            return entries
        with self._lock:
            if shard not in self._shards:
                self._shards[shard] = {} if self._folder is None else _load(_shard_path(self._folder, shard))
            return self._shards[shard]


def _dumped_facts(path: Path, kind: Kind) -> dict[str, Any]:
    """The facts, or what is wrong with the file; a refused permission and a missing plugin are not, and are raised."""
    try:
        return asdict(read_facts(path, kind))
    except DatasetError as error:
        if isinstance(error.__cause__, PermissionError) or missing_plugin(path):
            raise
        return {"problem": asdict(error.problems[0])}


def _loaded_facts(value: dict[str, Any]) -> MediaFacts | DatasetError:
    if "problem" in value:
        return DatasetError.of([Problem(**value["problem"])])
    return MediaFacts(**{**value, "size": tuple(value["size"])})


def _shard_path(folder: Path, shard: tuple[str, str]) -> Path:
    digest = hashlib.sha256("\0".join(shard).encode("utf-8", "surrogateescape")).hexdigest()
    return folder / f"{digest[:32]}.json"


def _load(path: Path) -> Entries:
    """The entries of one file; none if it is missing, damaged or of another version, as all can be read again."""
    try:
        version, entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return {}
    return entries if version == _VERSION else {}
