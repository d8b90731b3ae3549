"""The demo in a workspace: where its models, dataset and caches lie, and whether all of it is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.runs.status import read_json, write_json

VERSION = 2
"""Counted up whenever the models or media of the demo change, so that an older demo is made anew."""

CAPTION_ENDING = ".txt"
ANY_SIZE = -1
"""The size that made.json gives files that only have to be there."""


@dataclass(frozen=True)
class DemoFolder:
    """The places of the demo's files. made.json is written last: it tells what a whole demo consists of."""

    path: Path

    @classmethod
    def of(cls, workspace: Path) -> DemoFolder:
        return cls(workspace.absolute() / "demo")

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def transformer(self) -> Path:
        return self.models / "transformer.safetensors"

    @property
    def vae(self) -> Path:
        return self.models / "vae.safetensors"

    @property
    def llama(self) -> Path:
        return self.models / "llama"

    @property
    def clip(self) -> Path:
        return self.models / "clip"

    @property
    def pictures(self) -> Path:
        return self.path / "pictures"

    @property
    def clips(self) -> Path:
        return self.path / "clips"

    @property
    def caches(self) -> Path:
        return self.path / "cache"

    @property
    def dataset_file(self) -> Path:
        return self.path / "dataset.toml"

    @property
    def prompts_file(self) -> Path:
        return self.path / "prompts.txt"

    @property
    def lock_file(self) -> Path:
        return self.path / "make.lock"

    @property
    def mark_file(self) -> Path:
        return self.path / "made.json"

    def is_whole(self) -> bool:
        """Whether the demo was made here to its end, and every file is still there with its size."""
        sizes = self._mark().get("sizes", {})
        found = ((_size(self.path / name), size) for name, size in sizes.items())
        return (
            self.was_made_here()
            and self.dataset_file.is_file()
            and self.prompts_file.is_file()
            and all(now is not None and size in (now, ANY_SIZE) for now, size in found)
        )

    def was_made_here(self) -> bool:
        """Whether this version of the demo was made in this folder; dataset.toml names it, so it cannot be moved."""
        mark = self._mark()
        return mark.get("version") == VERSION and mark.get("folder") == str(self.path)

    def is_users_own(self, path: Path) -> bool:
        """Whether the file is the user's to edit, so that what stands in it now is kept."""
        if path == self.dataset_file:
            return path.is_file() and self.was_made_here()
        return path.is_file() and path.suffix == CAPTION_ENDING

    def mark_as_whole(self) -> None:
        """Write down what lies here, without the files that a user may edit; text caches change with the captions."""
        sizes = {
            path.relative_to(self.path).as_posix(): ANY_SIZE if self.caches in path.parents else _size(path)
            for path in self._files()
            if path.suffix != CAPTION_ENDING
        }
        write_json(self.mark_file, {"version": VERSION, "folder": str(self.path), "sizes": sizes})

    def _mark(self) -> dict[str, Any]:
        return read_json(self.mark_file) or {}

    def _files(self) -> Iterator[Path]:
        for folder in (self.models, self.pictures, self.clips, self.caches):
            files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
            yield from sorted(files)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
