"""Origin: what caches were made from and by, kept in them, so that no stale one is used in silence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backend.dataset.content import sample_digest

_BYTES, _TIME, _DIGEST, _FPS, ENCODER = "source_bytes", "source_mtime_ns", "source_digest", "source_fps", "encoder"


@dataclass(frozen=True)
class Encoders:
    """Those that caches must have been made by, each as `encoder_name` tells it; None if any will do."""

    vae: str | None = None
    llm: str | None = None
    clip: str | None = None

    @property
    def texts(self) -> dict[str, str]:
        """The text encoders that are known, by the part of a text cache that each makes."""
        parts = {"llm": self.llm, "clipL": self.clip}
        return {part: name for part, name in parts.items() if name is not None}


ANY_ENCODERS = Encoders()


@dataclass(frozen=True)
class Origin:
    """The picture or clip, and how it is read; a cache's name tells the window, its shape the size.

    source_fps: that of the dataset, None if frames are used as they are.
    """

    path: Path
    source_fps: float | None = None

    def as_metadata(self) -> dict[str, str]:
        """What a cache keeps of it: the file's size, time and digest of now. Raises OSError if it is gone."""
        status = self.path.stat()
        return {
            _BYTES: str(status.st_size),
            _TIME: str(status.st_mtime_ns),
            _DIGEST: sample_digest(self.path),
            _FPS: _fps_text(self.source_fps),
        }

    def fault(self, metadata: Mapping[str, str]) -> str | None:
        """What has changed since a cache with this metadata was written; None if nothing, or if it does not tell.

        A file with another time is the same if its size and digest are: it may have been copied.
        """
        if _BYTES in metadata and self._is_replaced(metadata):
            return f"{self.path.name} was replaced since it was cached"
        if metadata.get(_FPS, _fps_text(self.source_fps)) != _fps_text(self.source_fps):
            return f"cached with source_fps {metadata[_FPS]}, the dataset has {_fps_text(self.source_fps)}"
        return None

    def _is_replaced(self, metadata: Mapping[str, str]) -> bool:
        try:
            status = self.path.stat()
            if metadata.get(_TIME) == str(status.st_mtime_ns) and metadata[_BYTES] == str(status.st_size):
                return False
            return metadata.get(_DIGEST) != sample_digest(self.path)
        except OSError:  # gone, or not to be read: that is told where it is read
            return False


def encoder_fault(metadata: Mapping[str, str], encoder: str | None) -> str | None:
    """What tells that latents with this metadata were made by another autoencoder; None if nothing does."""
    if encoder is None or metadata.get(ENCODER, encoder) == encoder:
        return None
    return f"cached with another autoencoder or other tiling ({metadata[ENCODER]}, now {encoder})"


def encoder_name(weights: Path, *settings: str) -> str:
    """A short text that tells encoders apart by their weights and by settings that change what they give.

    weights: a file, or a folder with .safetensors files. Renaming and moving change nothing. Raises OSError.
    """
    files = sorted(weights.glob("*.safetensors")) if weights.is_dir() else [weights]
    statuses = [file.stat() for file in files]
    digests = [
        _digest(file, status.st_mtime_ns, status.st_size)[:16] for file, status in zip(files, statuses, strict=True)
    ]
    return " ".join(["+".join(digests), *settings])


@lru_cache(maxsize=100)  # asked for again with every change of the form
def _digest(file: Path, _changed_ns: int, _size: int) -> str:
    return sample_digest(file)


def _fps_text(source_fps: float | None) -> str:
    return "none" if source_fps is None else f"{source_fps:g}"
