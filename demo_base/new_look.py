"""The dataset of the demo's LoRA, a shape that the base has never seen."""

from __future__ import annotations

import random
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo_base.captions import caption
from demo_base.scenes import Figure, Scene, draw

SHAPE = "heart"
FRAMES = 9
CLIPS = (
    ("red", "medium", "right", "white"),
    ("pink", "large", "still", "navy"),
    ("blue", "medium", "up", "sand"),
    ("yellow", "medium", "bounce", "black"),
    ("green", "large", "shrink", "grey"),
    ("purple", "medium", "left", "sky"),
)
PICTURES = (
    ("orange", "large", "white"),
    ("white", "medium", "black"),
    ("red", "large", "sky"),
    ("blue", "medium", "grey"),
)
"""Colour, size, for clips the motion, and background."""
FRAME_RATE = 24


def write_new_look(folder: Path, *, seed: int = 1) -> None:
    """Clips and pictures with their captions, in the folders hearts/clips and hearts/pictures of the folder."""
    chance = random.Random(seed)
    for colour, size, motion, background in CLIPS:
        scene = Scene((Figure(SHAPE, colour, size, motion),), background)
        file = folder / "hearts" / "clips" / f"{colour}_{SHAPE}_{motion}.mp4"
        _write(file, caption(scene, chance), lambda path, scene=scene: write_clip(path, draw(scene, FRAMES)))
    for colour, size, background in PICTURES:
        scene = Scene((Figure(SHAPE, colour, size, "still"),), background)
        picture = Image.fromarray(draw(scene, 1)[0])
        file = folder / "hearts" / "pictures" / f"{colour}_{SHAPE}.png"
        _write(file, caption(scene, chance, moves=False), picture.save)


def write_clip(file: Path, frames: NDArray[np.uint8]) -> None:
    """H.264 of good quality."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE, options={"crf": "8", "preset": "slow"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _write(file: Path, text: str, save) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    save(file)
    file.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
