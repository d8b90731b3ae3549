"""Buckets: the sizes that pictures and frames are brought to, chosen by their shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from backend.config.dataset_models import SIDE_STEP, DatasetOptions, Size


@dataclass(frozen=True)
class ResizePlan:
    """How pixels of one size become a bucket: resize, then cut out the middle.

    method is None where the size is right already. resized: (width, height); offset: (x, y) of the crop.
    """

    method: Literal["area", "lanczos"] | None
    resized: Size
    offset: tuple[int, int]


def bucket_for(size: Size, dataset: DatasetOptions) -> Size:
    """The (width, height) that a picture or clip of this size is trained at.

    With bucket_no_upscale a picture smaller than 16 pixels gets a side of 0: it cannot be trained on.
    """
    if not dataset.enable_bucket:
        return dataset.resolution
    width, height = size
    allowed_width, allowed_height = dataset.resolution
    if dataset.bucket_no_upscale and width * height <= allowed_width * allowed_height:
        return _round_down(width), _round_down(height)
    return _nearest(size, dataset.resolution)


@lru_cache
def bucket_sizes(resolution: Size) -> tuple[Size, ...]:
    """Every (width, height) of about the area of resolution, ascending; sides are multiples of 16."""
    area = resolution[0] * resolution[1]
    side = math.isqrt(area)
    shortest = max(SIDE_STEP, _round_down(side // 2))
    sizes = set()
    for width in range(shortest, side + SIDE_STEP, SIDE_STEP):
        height = _round_down(area // width)
        sizes |= {(width, height), (height, width)}
    return tuple(sorted(sizes))


def resize_plan(size: Size, bucket: Size) -> ResizePlan:
    """How to fill the bucket without distortion; size and bucket are (width, height)."""
    if size == bucket:
        return ResizePlan(None, size, (0, 0))
    scale = max(bucket[0] / size[0], bucket[1] / size[1])
    width, height = (int(side * scale + 0.5) for side in size)
    return ResizePlan(
        method="lanczos" if scale > 1 else "area",
        resized=(width, height),
        offset=((width - bucket[0]) // 2, (height - bucket[1]) // 2),
    )


@lru_cache(maxsize=10_000)  # thousands of pictures have few sizes
def _nearest(size: Size, resolution: Size) -> Size:
    ratio = size[0] / size[1]
    return min(bucket_sizes(resolution), key=lambda bucket: abs(bucket[0] / bucket[1] - ratio))


def _round_down(side: int) -> int:
    return side // SIDE_STEP * SIDE_STEP
