"""What is cached is what was expected, and a cache that does not fit is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from backend.config.dataset_models import ImageDataset, VideoDataset
from backend.dataset.batches import group_into_buckets
from backend.dataset.cache_names import latent_cache_name, text_cache_name
from backend.dataset.cached import find_cached_items, latent_problem, text_problem
from backend.dataset.expected import expected_items
from backend.dataset.windows import FrameWindow
from tests.dataset.media import write_caches, write_clip, write_latents, write_picture, write_text

ROOT = Path(__file__).parents[2]
SETTINGS = [
    {},
    {"enable_bucket": True},
    {"enable_bucket": True, "bucket_no_upscale": True},
]
EXTRACTIONS = [
    {"target_frames": [1, 9, 25]},
    {"target_frames": [5, 9], "frame_extraction": "chunk"},
    {"target_frames": [9], "frame_extraction": "slide", "frame_stride": 3},
    {"target_frames": [25], "frame_extraction": "uniform", "frame_sample": 3},
    {"frame_extraction": "full", "max_frames": 20},
    {"target_frames": [9], "source_fps": 60},
    {"target_frames": [25], "source_fps": 12},
]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media [1] 写真")
    for index, size in enumerate([(100, 75), (75, 100), (64, 64), (300, 100), (20, 90), (512, 384)]):
        write_picture(folder / "photos" / f"p{index} _0001x0002.png", size)
    for index, (size, frames) in enumerate([((64, 48), 30), ((48, 64), 25), ((128, 64), 60), ((64, 64), 7)]):
        write_clip(folder / "clips" / f"c{index}_00000-009.mp4", size, frames=frames)
    return folder


def groups_of(datasets: list, items: list) -> list[tuple]:
    groups = group_into_buckets(datasets, items)
    return [(each.bucket, each.frame_count, [item.stem for item in each.items]) for each in groups]


@pytest.mark.parametrize("extraction", EXTRACTIONS, ids=str)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_what_is_cached_gives_the_groups_that_were_expected(
    media: Path, tmp_path: Path, settings: dict, extraction: dict
) -> None:
    shared = {"resolution": (64, 80), **settings}
    datasets = [
        ImageDataset(image_directory=media / "photos", cache_directory=tmp_path / "1", **shared),
        VideoDataset(video_directory=media / "clips", cache_directory=tmp_path / "2", **shared, **extraction),
    ]
    expected = [expected_items(dataset)[0] for dataset in datasets]
    for item in [*expected[0], *expected[1]]:
        write_caches(item)
    cached = [find_cached_items(dataset) for dataset in datasets]

    assert [problems for _, problems in cached] == [[], []]
    assert groups_of(datasets, [items for items, _ in cached]) == groups_of(datasets, expected)
    assert len(expected[0]) == 6
    assert len(expected[1]) >= 3


def test_the_references_own_caches_are_found(tmp_path: Path) -> None:
    photos, clips = tmp_path / "photos", tmp_path / "clips"
    for folder, pattern in ((photos, "a photo*"), (clips, "clip.one*")):
        folder.mkdir()
        for path in (ROOT / "tests" / "golden" / "cache").glob(pattern):
            shutil.copy(path, folder)
    # The golden latents are smaller than their names say: 6 x 8, so 64x48 pixels.
    (photos / "a photo_with_under_0100x0075_hv.safetensors").rename(
        photos / "a photo_with_under_0064x0048_hv.safetensors"
    )
    (clips / "clip.one_00003-009_0640x0480_hv.safetensors").rename(
        clips / "clip.one_00003-009_0064x0048_hv.safetensors"
    )
    buckets = {"resolution": (64, 64), "enable_bucket": True, "bucket_no_upscale": True}

    (photo,), photo_problems = find_cached_items(ImageDataset(image_directory=photos, **buckets))
    (clip,), clip_problems = find_cached_items(VideoDataset(video_directory=clips, **buckets))

    assert photo_problems == clip_problems == []
    assert (photo.stem, photo.bucket, photo.frame_count) == ("a photo_with_under", (64, 48), None)
    assert (clip.stem, clip.bucket, clip.frame_count) == ("clip.one", (64, 48), 9)
    assert clip.text_path == clips / "clip.one_hv_te.safetensors"


def test_latents_of_another_resolution_are_named_and_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    write_picture(folder / "a.png", (100, 75))
    write_picture(folder / "b.png", (64, 64))
    before = ImageDataset(image_directory=folder, resolution=(64, 64))
    for item in expected_items(before)[0]:
        write_caches(item)
    write_latents(folder / latent_cache_name("b", (64, 64)), (96, 96))

    items, (problem,) = find_cached_items(before.model_copy(update={"resolution": (96, 96)}))

    assert [item.stem for item in items] == ["b"]
    assert problem.severity == "warning"
    assert problem.message == (
        f"{folder / 'a_0100x0075_hv.safetensors'}: latents of shape [16, 1, 8, 8], "
        "but 96x96 pixels need [16, 1, 12, 12]"
    )
    assert problem.hint == "cache the latents again"


def test_clips_of_another_resolution_are_left_out(tmp_path: Path) -> None:
    write_latents(tmp_path / latent_cache_name("a", (64, 64), FrameWindow(0, 9)), (64, 64), 9)
    write_text(tmp_path / text_cache_name("a"))

    for settings in SETTINGS:
        dataset = VideoDataset(video_directory=tmp_path, resolution=(256, 256), **settings)
        items, problems = find_cached_items(dataset)
        if settings.get("bucket_no_upscale"):
            assert len(items) == 1  # a smaller clip stays as it is
        else:
            assert items == []
            assert "256x256 pixels need [16, 3, 32, 32]" in problems[0].message
            assert problems[-1].severity == "error"


def test_clips_that_musubi_tuner_cached_in_buckets_without_being_asked_are_used(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_latents(tmp_path / latent_cache_name(name, (80, 48), FrameWindow(0, 9)), (80, 48), 9)
        write_text(tmp_path / text_cache_name(name))
    dataset = VideoDataset(video_directory=tmp_path, resolution=(64, 64))

    items, (problem,) = find_cached_items(dataset)
    assert [item.bucket for item in items] == [(80, 48), (80, 48)]
    assert "clips are cached in buckets, but enable_bucket is off" in problem.message

    write_latents(tmp_path / latent_cache_name("a", (64, 64), FrameWindow(0, 9)), (64, 64), 9)
    items, _ = find_cached_items(dataset)
    assert [(item.stem, item.bucket) for item in items] == [("a", (64, 64)), ("b", (80, 48))]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((), "no such text cache"),
        (("llm_float16", "llm_mask"), "without clipL"),
        (("clipL_bfloat16", "clipL_mask"), "without llm, llm_mask"),
        (("llm_float16", "llm_bfloat16", "llm_mask", "clipL_float16"), "llm in more than one dtype"),
    ],
)
def test_a_text_cache_that_is_missing_or_half_done_is_named_once(tmp_path: Path, names: tuple, told: str) -> None:
    dataset = VideoDataset(video_directory=tmp_path, resolution=(64, 64), target_frames=[1, 5])
    for count in (1, 5):
        write_latents(tmp_path / latent_cache_name("a", (64, 64), FrameWindow(0, count)), (64, 64), count)
    if names:
        write_text(tmp_path / text_cache_name("a"), names=names)

    items, (problem, nothing) = find_cached_items(dataset)

    assert items == []
    assert problem.message == f"{tmp_path / 'a_hv_te.safetensors'}: {told}"
    assert problem.hint == "cache the text encoder outputs again"
    assert (nothing.severity, nothing.message) == ("error", f"{tmp_path}: nothing to train on is cached")


def test_a_damaged_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / latent_cache_name("a", (64, 64))).write_bytes(b"no cache")
    write_text(tmp_path / text_cache_name("a"))

    _, problems = find_cached_items(ImageDataset(image_directory=tmp_path, resolution=(64, 64)))

    assert "a_0064x0064_hv.safetensors" in problems[0].message
    assert problems[0].hint == "cache again"


def test_a_folder_without_caches_says_so(tmp_path: Path) -> None:
    items, (problem,) = find_cached_items(ImageDataset(image_directory=tmp_path / "nowhere"))

    assert items == []
    assert problem.message == f"{tmp_path / 'nowhere'}: nothing to train on is cached"


def test_two_latents_in_one_file_are_one_too_many(tmp_path: Path) -> None:
    path = tmp_path / latent_cache_name("a", (64, 64))
    save_file({f"latents_1x8x8_{dtype}": np.zeros((16, 1, 8, 8)) for dtype in ("float16", "float32")}, path)
    problem = latent_problem(path, bucket=(64, 64), frame_count=None)
    assert problem.message == f"{path}: 2 tensors of latents, but one is wanted"


def test_parts_of_a_text_cache_are_judged_alone(tmp_path: Path) -> None:
    path = tmp_path / text_cache_name("a")
    write_text(path, names=("llm_float16", "llm_float32", "llm_mask", "clipL_bfloat16"))
    assert text_problem(path, parts=["clipL"]) is None
    assert "llm in more than one dtype" in text_problem(path, parts=["llm"]).message
    assert "llm in more than one dtype" in text_problem(path).message


def test_a_caption_that_changed_is_told_unless_the_cache_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / text_cache_name("a")
    write_text(path, caption="a cat\n")
    assert text_problem(path, caption="a cat") is None
    assert text_problem(path) is None
    problem = text_problem(path, caption="a dog")
    assert problem.message == f"{path}: caption changed since it was cached"
    assert problem.hint == "cache the text encoder outputs again"
    write_text(path)
    assert text_problem(path, caption="a dog") is None
