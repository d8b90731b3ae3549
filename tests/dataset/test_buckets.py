"""Buckets are those of the reference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.config.dataset_models import ImageDataset, VideoDataset
from backend.dataset.buckets import bucket_for, bucket_sizes, resize_plan

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "buckets_frames.json").read_text())


def dataset(**values: object) -> ImageDataset:
    return ImageDataset(image_directory="photos", **values)


@pytest.mark.parametrize("resolution", GOLDEN["bucket_lists"])
def test_the_buckets_of_a_resolution_are_the_references(resolution: str) -> None:
    width, height = map(int, resolution.split("x"))

    assert [list(size) for size in bucket_sizes((width, height))] == GOLDEN["bucket_lists"][resolution]


def test_every_size_gets_the_bucket_and_the_resize_of_the_reference() -> None:
    for case in GOLDEN["cases"]:
        size, resolution = tuple(case["size"]), tuple(case["resolution"])
        bucket = bucket_for(
            size,
            dataset(resolution=resolution, enable_bucket=case["enable_bucket"], bucket_no_upscale=case["no_upscale"]),
        )
        plan = resize_plan(size, bucket)

        assert bucket == tuple(case["bucket"]), case
        assert plan.method == case.get("method"), case
        assert plan.resized == tuple(case.get("resized", size)), case
    assert len(GOLDEN["cases"]) == 195


def test_a_clip_follows_the_same_settings_as_a_picture() -> None:
    clips = VideoDataset(video_directory="clips", resolution=(960, 544))

    assert bucket_for((640, 480), clips) == (960, 544)
    assert bucket_for((640, 480), clips.model_copy(update={"enable_bucket": True})) == (832, 624)
    no_upscale = {"enable_bucket": True, "bucket_no_upscale": True}
    assert bucket_for((640, 480), clips.model_copy(update=no_upscale)) == (640, 480)


@pytest.mark.parametrize("resolution", [(32, 32), (64, 64), (256, 256), (272, 480), (960, 544), (1280, 720)])
def test_a_bucket_is_its_own_bucket(resolution: tuple[int, int]) -> None:
    for enabled in ({"enable_bucket": True}, {"enable_bucket": True, "bucket_no_upscale": True}):
        settings = dataset(resolution=resolution, **enabled)
        assert all(bucket_for(size, settings) == size for size in bucket_sizes(resolution))


def test_buckets_have_whole_latents_and_patches() -> None:
    assert all(side >= 16 and side % 16 == 0 for size in bucket_sizes((33, 50)) for side in size)
