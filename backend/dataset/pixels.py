"""Pixels of pictures and clips, brought to the size of their bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageOps

from backend.config.dataset_models import Size
from backend.dataset.buckets import resize_plan
from backend.dataset.media_files import IMAGE_EXTENSIONS, files_of, quarter_turns, unreadable
from backend.dataset.windows import FrameWindow, kept_indices
from backend.errors import DatasetError


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8, RGB, upright; transparency is dropped, not blended.

    Raises DatasetError if it is no picture.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):  # Pillow would clip 16 bits at 255, not scale them
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            return np.ascontiguousarray(np.asarray(as_rgb(upright))[:, :, :3])
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise unreadable(path, "picture", error) from error


def read_frames(path: Path, *, source_fps: float | None = None, stop: int | None = None) -> Iterator[np.ndarray]:
    """The used frames of a clip, or of a folder of pictures, one after another: (H, W, 3) uint8, RGB, upright.

    Decoding ends after `stop` frames. Raises DatasetError if it is no clip.
    """
    frames = map(read_image, files_of(path, IMAGE_EXTENSIONS)) if path.is_dir() else _decode(path, source_fps)
    if path.is_dir() and source_fps is not None:
        frames = _only(frames, kept_indices(source_fps))
    return islice(frames, stop)


def read_windows(
    path: Path, windows: Iterable[FrameWindow], *, bucket: Size, source_fps: float | None = None
) -> Iterator[tuple[FrameWindow, np.ndarray]]:
    """Each window once with its frames (F, H, W, 3) uint8 at the bucket's size, in the order in which they end.

    The clip is decoded once; only frames of windows that have begun and not ended are held. Raises DatasetError if
    the clip ends before its windows do.
    """
    waiting = sorted(set(windows), reverse=True)
    stop = max((window.start + window.count for window in waiting), default=0)
    begun: list[tuple[FrameWindow, list[np.ndarray]]] = []
    for index, frame in enumerate(read_frames(path, source_fps=source_fps, stop=stop)):
        while waiting and waiting[-1].start == index:
            begun.append((waiting.pop(), []))
        if begun:
            fitted = fit_to_bucket(frame, bucket)
            for _, held in begun:
                held.append(fitted)
        yield from ((window, np.stack(held)) for window, held in begun if len(held) == window.count)
        begun = [(window, held) for window, held in begun if len(held) < window.count]
    if begun or waiting:
        raise DatasetError(
            f"{path}: ends before frame {stop}",
            hint="the clip is damaged; replace or remove it",
            option="dataset_config",
        )


def fit_to_bucket(pixels: np.ndarray, bucket: Size) -> np.ndarray:
    """(H, W, 3) uint8 of the bucket's (width, height): resized without distortion, the middle cut out.

    Area averaging when it gets smaller, Lanczos when it gets larger.
    """
    plan = resize_plan((pixels.shape[1], pixels.shape[0]), bucket)
    if plan.method is None:
        return pixels
    if plan.method == "lanczos":
        pixels = np.asarray(Image.fromarray(pixels).resize(plan.resized, Image.Resampling.LANCZOS))
    else:
        pixels = cv2.resize(pixels, plan.resized, interpolation=cv2.INTER_AREA)
    x, y = plan.offset
    return np.ascontiguousarray(pixels[y : y + bucket[1], x : x + bucket[0]])


def as_rgb(image: Image.Image) -> Image.Image:
    """A picture of any mode as RGB or RGBA."""
    return image if image.mode in ("RGB", "RGBA") else image.convert("RGB")


def _decode(path: Path, source_fps: float | None) -> Iterator[np.ndarray]:
    try:
        with av.open(path) as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in _only(container.decode(video=0), kept_indices(source_fps)):
                yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns(frame)))
    except (av.FFmpegError, IndexError) as error:
        raise unreadable(path, "clip", error) from error


def _only(frames: Iterable, indices: Iterator[int]) -> Iterator:
    """The frames at these ascending indices."""
    wanted = next(indices)
    for index, frame in enumerate(frames):
        if index == wanted:
            yield frame
            wanted = next(indices)
