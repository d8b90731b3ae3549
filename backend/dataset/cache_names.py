"""Names of cache files, as musubi-tuner reads and writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from backend.config.dataset_models import Size
from backend.dataset.path_length import length_of
from backend.dataset.windows import FrameWindow

LATENT_ENDING = "_hv.safetensors"
TEXT_ENDING = "_hv_te.safetensors"
LONGEST_NAME = 255


@dataclass(frozen=True)
class LatentCacheName:
    """What the name of a latent cache says.

    size: (width, height), of the picture as it is on disk, or of the clip's frames after resizing.
    window: None for a picture.
    """

    stem: str
    size: Size
    window: FrameWindow | None


def latent_cache_name(stem: str, size: Size, window: FrameWindow | None = None) -> str:
    """File name of a latent cache; size is the original one of a picture, the bucket's of a clip."""
    frames = f"_{window.start:05d}-{window.count:03d}" if window else ""
    return f"{stem}{frames}_{size[0]:04d}x{size[1]:04d}{LATENT_ENDING}"


def text_cache_name(stem: str) -> str:
    """File name of a text cache; all windows of a clip share one."""
    return f"{stem}{TEXT_ENDING}"


def is_too_long(name: str) -> bool:
    """Whether no file here can have this name."""
    return 4 * len(name) > LONGEST_NAME and length_of(PurePath(name)) > LONGEST_NAME  # a character is 4 bytes at most


def parse_latent_cache_name(name: str, kind: Literal["image", "video"]) -> LatentCacheName | None:
    """What the file name says, None if it is not that of a latent cache of this kind."""
    if not name.endswith(LATENT_ENDING):  # quicker than the pattern, of whose files half are texts
        return None
    match = (_IMAGE_NAME if kind == "image" else _VIDEO_NAME).fullmatch(name)
    if match is None:
        return None
    size = (int(match["width"]), int(match["height"]))
    window = FrameWindow(int(match["start"]), int(match["count"])) if kind == "video" else None
    return LatentCacheName(match["stem"], size, window) if min(size) > 0 else None


# A stem may hold anything, underscores and line breaks too: the fixed part is taken from the end.
_SIZE = r"_(?P<width>\d{4,})x(?P<height>\d{4,})" + re.escape(LATENT_ENDING)
_IMAGE_NAME = re.compile(r"(?P<stem>.+)" + _SIZE, re.DOTALL | re.ASCII)
_VIDEO_NAME = re.compile(r"(?P<stem>.+)_(?P<start>\d{5,})-(?P<count>\d{3,})" + _SIZE, re.DOTALL | re.ASCII)
