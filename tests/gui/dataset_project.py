"""A small dataset on disk for tests of the Dataset tab: three pictures, a clip, and what is wrong with some of them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from PIL import Image


def make_dataset(folder: Path) -> Path:
    """Write pictures, a clip, captions and the dataset file; returns the file."""
    pictures, clips = folder / "pictures", folder / "clips"
    pictures.mkdir(parents=True)
    clips.mkdir()
    random = np.random.default_rng(1)
    for name, size in (("ada red.png", (96, 64)), ("bob.png", (64, 64)), ("cat.png", (16, 16))):
        Image.fromarray(random.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).save(pictures / name)
    (pictures / "ada red.txt").write_text("a red thing, on a table", encoding="utf-8")
    (pictures / "bob.txt").write_text("a blue thing, on a chair", encoding="utf-8")
    write_clip(clips / "run.mp4", frames=9)
    (clips / "run.txt").write_text("a red thing runs", encoding="utf-8")
    (clips / "broken.mp4").write_bytes(b"no clip")
    (clips / "broken.txt").write_text("nothing", encoding="utf-8")
    path = folder / "dataset.toml"
    path.write_text(
        f"""# mine
[general]
resolution = [64, 64]  # small
enable_bucket = true

[[datasets]]
image_directory = '{pictures}'
cache_directory = '{folder / "cache" / "p"}'
num_repeats = 2

[[datasets]]
video_directory = '{clips}'
cache_directory = '{folder / "cache" / "c"}'
target_frames = [1, 5]
""",
        encoding="utf-8",
    )
    return path


def write_clip(path: Path, *, frames: int) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for index in range(frames):
            pixels = np.full((64, 64, 3), index * 20, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
