"""Pictures and clips written with a description inside: PNG for one frame, H.264 in MP4 for several."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from backend.atomic_file import replaced

FRAMES_PER_SECOND = 24
TITLE_PIXELS = 24
GIF_FRAME_MS = 40  # a GIF counts in hundredths of a second
_QUALITY = "16"  # x264's constant rate factor: from 18 down losses are hard to see


def write_frames(stem: Path, frames: np.ndarray, *, description: Mapping[str, str] | None = None) -> Path:
    """One frame as STEM.png, several as STEM.mp4; returns the path. The folder is made, an older file is replaced.

    frames: (T, H, W, 3) uint8; for a clip H and W are even. description: texts kept in the file, by name.
    """
    ending, write = (".png", _write_png) if len(frames) == 1 else (".mp4", _write_mp4)
    path = stem.with_name(stem.name + ending)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as temporary:
        write(temporary, frames, description or {})
    return path


def write_pictures(folder: Path, frames: np.ndarray, *, description: Mapping[str, str] | None = None) -> Path:
    """Every frame (T, H, W, 3) uint8 as a .png in a folder, FOLDER/FOLDER_0000.png and so on; returns the folder."""
    for number, frame in enumerate(frames):
        write_frames(folder / f"{folder.name}_{number:04d}", frame[None], description=description)
    return folder


def side_by_side(clips: Sequence[np.ndarray], titles: Sequence[str]) -> np.ndarray:
    """Clips of one size next to each other, each (T, H, W, 3) uint8, under their titles: (T, H + 24, N x W, 3)."""
    width = clips[0].shape[2]
    title_row = Image.new("RGB", (width * len(clips), TITLE_PIXELS), "white")
    for number, title in enumerate(titles):
        ImageDraw.Draw(title_row).text((number * width + 6, 5), title, fill="black")
    rows = np.broadcast_to(np.asarray(title_row), (len(clips[0]), TITLE_PIXELS, width * len(clips), 3))
    return np.concatenate([rows, np.concatenate(clips, axis=2)], axis=1)


def read_description(path: Path) -> dict[str, str]:
    """The texts that `write_frames` has kept in a file, by name."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            return dict(image.text)  # type: ignore[attr-defined]
    with av.open(path) as container:
        return {name: text for name, text in container.metadata.items() if name not in _CONTAINERS_OWN}


def read_frames(path: Path) -> np.ndarray:
    """The frames of a file that `write_frames` has written: (T, H, W, 3) uint8."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))[None]
    with av.open(path) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def encode_gif(frames: np.ndarray, *, longest_side: int) -> tuple[bytes, tuple[int, int]]:
    """Frames (T, H, W, 3) uint8 as a GIF that moves and begins again, and its (width, height); larger ones are made
    smaller."""
    height, width = frames.shape[1:3]
    ratio = min(1.0, longest_side / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    first, *others = [Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS) for frame in frames]
    content = io.BytesIO()
    first.save(content, format="GIF", save_all=True, append_images=others, duration=GIF_FRAME_MS, loop=0)
    return content.getvalue(), size


def _write_png(path: Path, frames: Sequence[np.ndarray], description: Mapping[str, str]) -> None:
    info = PngInfo()
    for name, text in description.items():
        info.add_itxt(name, text)
    Image.fromarray(frames[0]).save(path, format="PNG", pnginfo=info)


def _write_mp4(path: Path, frames: Sequence[np.ndarray], description: Mapping[str, str]) -> None:
    # use_metadata_tags keeps names that MP4 does not know; faststart lets a browser play before all is loaded
    with av.open(path, "w", format="mp4", options={"movflags": "use_metadata_tags+faststart"}) as container:
        container.metadata.update(description)
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"crf": _QUALITY})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


_CONTAINERS_OWN = {"major_brand", "minor_version", "compatible_brands", "encoder", "creation_time"}
