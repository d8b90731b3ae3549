"""A picture or frame as training will see it: resized and cropped to its bucket by the code that caching uses."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from backend.config.dataset_models import Size
from backend.dataset.buckets import resize_plan
from backend.dataset.media_facts import Kind
from backend.dataset.pixels import fit_to_bucket, read_image, read_windows
from backend.dataset.windows import FrameWindow


@dataclass(frozen=True)
class CropBox:
    """What of a picture stays, in its own pixels, and by how much that is enlarged (above 1) or made smaller."""

    x: float
    y: float
    width: float
    height: float
    scale: float


def crop_box(size: Size, bucket: Size) -> CropBox:
    """The part of a picture of this size that fills the bucket; both are (width, height)."""
    plan = resize_plan(size, bucket)
    across, down = plan.resized[0] / size[0], plan.resized[1] / size[1]
    x, y = plan.offset
    return CropBox(x / across, y / down, bucket[0] / across, bucket[1] / down, max(across, down))


def seen_by_training(
    path: Path, kind: Kind, *, bucket: Size, frame: int = 0, source_fps: float | None = None
) -> np.ndarray:
    """(H, W, 3) uint8 at the bucket's (width, height). frame: of a clip, counted after the frame rate was changed.

    Raises DatasetError if it cannot be read, or the clip has no such frame.
    """
    if kind == "image":
        return fit_to_bucket(read_image(path), bucket)
    ((_, frames),) = read_windows(path, [FrameWindow(frame, 1)], bucket=bucket, source_fps=source_fps)
    return frames[0]


def as_jpeg(pixels: np.ndarray) -> bytes:
    """A picture (H, W, 3) uint8 as a JPEG file, for a page."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=92)
    return content.getvalue()
