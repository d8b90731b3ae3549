"""What the VAE would be given, to look at: printed as coloured blocks, or written as pictures or clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np
from PIL import Image

from backend.caching.latents import LoadedItem
from backend.visual_files import write_frames

Kind = Literal["console", "image", "video"]
_ENDING = "_hv.safetensors"


def preview_items(items: Iterable[LoadedItem], kind: Kind, *, width: int, say: Callable[[str], None] = print) -> None:
    """Show each item. console: its first frame, so many columns wide. image, video: a file in the folder `preview`
    beside the item's cache, of the first frame or of all."""
    for loaded in items:
        name = loaded.item.latent_path.name.removesuffix(_ENDING)
        if kind == "console":
            frames, height, columns, _ = loaded.frames.shape
            say(f"{name}: {columns}x{height}, {frames} {'frame' if frames == 1 else 'frames'}")
            say(as_blocks(loaded.frames[0], width=width))
        else:
            shown = loaded.frames if kind == "video" else loaded.frames[:1]
            say(str(write_frames(loaded.item.latent_path.with_name("preview") / name, shown)))


def as_blocks(picture: np.ndarray, *, width: int) -> str:
    """A picture (H, W, 3) uint8 as text for a terminal with colours: each character shows two pixels, one above the
    other."""
    height = max(2, round(picture.shape[0] * width / picture.shape[1] / 2) * 2)
    small = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))
    rows = []
    for upper, lower in zip(small[0::2], small[1::2], strict=True):
        cells = (_cell(top, bottom) for top, bottom in zip(upper, lower, strict=True))
        rows.append("".join(cells) + "\x1b[0m")
    return "\n".join(rows)


def _cell(top: np.ndarray, bottom: np.ndarray) -> str:
    return "\x1b[38;2;{};{};{}m\x1b[48;2;{};{};{}m▀".format(*top, *bottom)
