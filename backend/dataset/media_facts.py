"""Facts of a picture or clip, as its header tells them: what lists show, and what buckets and windows need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import av
from PIL import Image

from backend.config.dataset_models import Size
from backend.dataset.media_files import (
    EXIF_ORIENTATION,
    IMAGE_EXTENSIONS,
    PICTURE_FAULTS,
    SIDEWAYS_ORIENTATIONS,
    count_frames,
    files_of,
    is_folder,
    quarter_turns,
    unreadable,
)
from backend.errors import DatasetError

Kind = Literal["image", "video"]
_ALPHA_MODES = ("RGBA", "LA", "PA", "La", "RGBa")


@dataclass(frozen=True)
class MediaFacts:
    """One picture or clip.

    size: (width, height) as it is seen, upright. frames: those that decoding gives; None for a picture. fps: of a clip,
    the mean where the rate varies; None if the file does not tell. has_alpha: it has transparency, which is dropped.
    is_turned: it is stored lying and is turned upright. is_animated: a picture that moves, of which the first frame
    counts.
    """

    size: Size
    frames: int | None = None
    fps: float | None = None
    has_alpha: bool = False
    is_turned: bool = False
    is_animated: bool = False

    @property
    def duration_s(self) -> float | None:
        return self.frames / self.fps if self.frames is not None and self.fps else None


class FactsOf(Protocol):
    """Where facts come from: `read_facts`, or an index that remembers them."""

    def __call__(self, path: Path, kind: Kind, *, limit: int | None = None) -> MediaFacts: ...


def read_facts(path: Path, kind: Kind, *, limit: int | None = None) -> MediaFacts:
    """The facts of a picture, a clip, or a folder of pictures that stands for a clip.

    limit: counting the frames of a clip may end there. Raises DatasetError if it cannot be read as what it should be.
    """
    if kind == "image":
        return _picture_facts(path)
    return _folder_facts(path, limit) if is_folder(path) else _clip_facts(path, limit)


def _picture_facts(path: Path) -> MediaFacts:
    try:
        with Image.open(path) as image:
            orientation = image.getexif().get(EXIF_ORIENTATION, 1)
            width, height = image.size
            return MediaFacts(
                size=(height, width) if orientation in SIDEWAYS_ORIENTATIONS else (width, height),
                has_alpha=image.mode in _ALPHA_MODES or "transparency" in image.info,
                is_turned=orientation in range(2, 9),
                is_animated=getattr(image, "is_animated", False),
            )
    except PICTURE_FAULTS as error:
        raise unreadable(path, "picture", error) from error


def _clip_facts(path: Path, limit: int | None) -> MediaFacts:
    try:
        with av.open(path) as container:
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate
            frame = next(container.decode(video=0))
    except (av.FFmpegError, IndexError, StopIteration) as error:
        raise unreadable(path, "clip", error) from error
    turns = quarter_turns(frame)
    return MediaFacts(
        size=(frame.height, frame.width) if turns % 2 else (frame.width, frame.height),
        frames=count_frames(path, limit=limit),
        fps=float(rate) if rate else None,
        has_alpha=any(component.is_alpha for component in frame.format.components),
        is_turned=turns > 0,
    )


def _folder_facts(path: Path, limit: int | None) -> MediaFacts:
    pictures = files_of(path, IMAGE_EXTENSIONS)
    if not pictures:
        raise DatasetError(f"{path}: no pictures in this folder, which stands for a clip", option="dataset_config")
    first = _picture_facts(pictures[0])
    return MediaFacts(
        size=first.size,
        frames=len(pictures[:limit]),
        has_alpha=first.has_alpha,
        is_turned=first.is_turned,
    )
