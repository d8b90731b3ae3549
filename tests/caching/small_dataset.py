"""A dataset on disk: two pictures of different shapes and a clip, with captions."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from PIL import Image

CAPTIONS = {"wide": "a rocket in the sky", "tall": "a cat", "clip.one": "a cat walks"}


def write_dataset(folder: Path, *, frames: int = 9) -> Path:
    """The dataset file; pictures are trained at about 64x48, the clip in windows of 1 and 5 frames."""
    media = folder / "media"
    media.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name, size in (("wide", (90, 60)), ("tall", (60, 90))):
        Image.fromarray(generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(media / f"{name}.png")
    _write_clip(media / "clip.one.mp4", generator.integers(0, 256, (frames, 48, 64, 3), dtype=np.uint8))
    for name, caption in CAPTIONS.items():
        (media / f"{name}.txt").write_text(caption + "\n")
    config = folder / "dataset.toml"
    config.write_text(
        f"""
[general]
resolution = [64, 48]
enable_bucket = true

[[datasets]]
image_directory = '{media}'
cache_directory = '{folder / "cache_images"}'
batch_size = 2

[[datasets]]
video_directory = '{media}'
cache_directory = '{folder / "cache_clips"}'
target_frames = [1, 5]
frame_extraction = "chunk"
"""
    )
    return config


def _write_clip(path: Path, frames: np.ndarray) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
