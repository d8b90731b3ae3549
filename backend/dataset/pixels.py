"""Pixels of pictures and clips, brought to the size of their bucket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from backend.config.dataset_models import Size
from backend.dataset.buckets import resize_plan
from backend.dataset.clip_decoding import SHORT_WAY, decoded_frames
from backend.dataset.media_files import IMAGE_EXTENSIONS, PICTURE_FAULTS, files_of, unreadable
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
    except PICTURE_FAULTS as error:
        raise unreadable(path, "picture", error) from error


def read_frames(
    path: Path, *, source_fps: float | None = None, start: int = 0, stop: int | None = None
) -> Iterator[np.ndarray]:
    """The used frames of a clip, or of a folder of pictures, one after another: (H, W, 3) uint8, RGB, upright.

    start, stop: count used frames; what lies before and behind is not decoded where the file allows that. Raises
    DatasetError if it is no clip.
    """
    indices = islice(kept_indices(source_fps), start, stop)
    first = next(indices, None)
    if first is None:
        return
    numbered = _numbered_pictures(path, first) if path.is_dir() else decoded_frames(path, start=first)
    yield from _only(numbered, first, indices)


def read_windows(
    path: Path, windows: Iterable[FrameWindow], *, bucket: Size, source_fps: float | None = None
) -> Iterator[tuple[FrameWindow, np.ndarray]]:
    """Each window once with its frames (F, H, W, 3) uint8 at the bucket's size, in the order in which they end.

    Windows that overlap or lie near each other are decoded in one pass, and what lies between others is passed over;
    only frames of windows that have begun and not ended are held. Raises DatasetError if the clip ends before its
    windows do.
    """
    for run in _runs(windows):
        yield from _read_run(path, run, bucket=bucket, source_fps=source_fps)


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


def _runs(windows: Iterable[FrameWindow]) -> Iterator[list[FrameWindow]]:
    """The windows by their beginning, parted where more than SHORT_WAY frames lie between."""
    run: list[FrameWindow] = []
    end = 0
    for window in sorted(set(windows)):
        if run and window.start > end + SHORT_WAY:
            yield run
            run = []
        run.append(window)
        end = max(end, window.start + window.count)
    if run:
        yield run


def _read_run(
    path: Path, run: list[FrameWindow], *, bucket: Size, source_fps: float | None
) -> Iterator[tuple[FrameWindow, np.ndarray]]:
    """Each window of a run with its frames, in the order in which they end."""
    waiting = run[::-1]
    first, stop = run[0].start, max(window.start + window.count for window in run)
    begun: list[tuple[FrameWindow, list[np.ndarray]]] = []
    frames = read_frames(path, source_fps=source_fps, start=first, stop=stop)
    for index, frame in enumerate(frames, start=first):
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


def _numbered_pictures(folder: Path, start: int) -> Iterator[tuple[int, np.ndarray]]:
    pictures = files_of(folder, IMAGE_EXTENSIONS)[start:]
    return enumerate(map(read_image, pictures), start=start)


def _only(numbered: Iterable[tuple[int, np.ndarray]], first: int, others: Iterator[int]) -> Iterator[np.ndarray]:
    """The frames with these ascending numbers."""
    wanted: int | None = first
    for number, frame in numbered:
        if number == wanted:
            yield frame
            wanted = next(others, None)
            if wanted is None:
                return
