"""Plan and trainer take the same items, and name those that are left out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backend.config.dataset_models import ImageDataset, VideoDataset
from backend.dataset.expected import expected_items
from backend.dataset.training_items import TrainingItems, find_training_items
from backend.errors import DatasetError
from tests.dataset.media import write_caches, write_clip, write_latents, write_picture, write_text


@pytest.fixture
def photos(tmp_path: Path) -> ImageDataset:
    for name in ("a", "b", "c"):
        write_picture(tmp_path / "photos" / f"{name}.png", (64, 64), caption=f"picture {name}")
    return ImageDataset(image_directory=tmp_path / "photos", cache_directory=tmp_path / "cache", resolution=(64, 64))


def cache_all(dataset: ImageDataset | VideoDataset) -> None:
    for item in expected_items(dataset)[0]:
        write_caches(item)


def training_items(dataset: ImageDataset | VideoDataset) -> TrainingItems:
    (found,) = find_training_items([dataset])
    return found


def stems(items: tuple) -> list[str]:
    return [item.stem for item in items]


def messages(found: TrainingItems) -> list[str]:
    return [problem.message for problem in found.problems]


def test_before_anything_is_cached_all_is_expected_and_nothing_is_doubtful(photos):
    found = training_items(photos)
    assert (found.ready, stems(found.expected), len(found.missing_names())) == ((), ["a", "b", "c"], 3)
    assert found.problems == ()
    (problem,) = found.missing_problems()
    assert problem.message.startswith("not cached, so not trained on: 3 of 3: a_0064x0064_hv.safetensors, b_")


def test_a_photo_that_was_removed_is_not_trained_on_and_its_cache_is_named(photos):
    cache_all(photos)
    (photos.image_directory / "b.png").unlink()
    found = training_items(photos)
    assert stems(found.ready) == stems(found.expected) == ["a", "c"]
    assert messages(found) == [
        f"{photos.cache_folder}: cached, but not in the dataset: 1 of 3: b_0064x0064_hv.safetensors; not trained on"
    ]
    assert found.problems[0].severity == "warning"


def test_windows_of_another_length_are_not_trained_on(tmp_path):
    write_clip(tmp_path / "clips" / "a.mp4", (64, 48), frames=40)
    before = VideoDataset(
        video_directory=tmp_path / "clips",
        cache_directory=tmp_path / "cache",
        resolution=(64, 48),
        target_frames=[9],
        frame_extraction="chunk",
    )
    cache_all(before)
    assert len(training_items(before).ready) == 4
    after = before.model_copy(update={"target_frames": (25,)})
    found = training_items(after)
    assert (len(found.ready), len(found.expected)) == (0, 1)
    cache_all(after)
    found = training_items(after)
    assert [item.frame_count for item in found.ready] == [25]
    assert "cached, but not in the dataset: 4 of 5: a_00000-009" in messages(found)[0]


def test_without_media_everything_that_is_cached_is_trained_on(photos):
    cache_all(photos)
    for path in photos.image_directory.iterdir():
        path.unlink()
    for _ in range(2):  # an empty folder, then none
        found = training_items(photos)
        assert stems(found.ready) == stems(found.expected) == ["a", "b", "c"]
        assert found.problems == ()
        shutil.rmtree(photos.image_directory, ignore_errors=True)


def test_without_media_and_caches_the_missing_folder_is_told(photos):
    shutil.rmtree(photos.image_directory)
    with pytest.raises(DatasetError, match="no such folder"):
        find_training_items([photos])


def test_a_caption_that_cannot_be_read_is_a_warning_and_the_others_are_trained_on(photos):
    cache_all(photos)
    (photos.image_directory / "a.txt").write_bytes(b"\xff\xfe\xfd")
    found = training_items(photos)
    assert stems(found.ready) == ["b", "c"]
    assert "a.png: the caption is not UTF-8" in messages(found)[0]


def test_a_changed_caption_is_to_be_cached_again(photos):
    cache_all(photos)
    (photos.image_directory / "c.txt").write_text("another picture")
    found = training_items(photos)
    assert (stems(found.ready), found.missing_names()) == (["a", "b"], ["c_0064x0064_hv.safetensors"])
    assert messages(found) == [f"{photos.cache_folder / 'c_hv_te.safetensors'}: caption changed since it was cached"]


def test_a_text_cache_that_does_not_tell_its_caption_is_used(photos):
    for item in expected_items(photos)[0]:
        write_latents(item.latent_path, item.bucket)
        write_text(item.text_path)
    assert stems(training_items(photos).ready) == ["a", "b", "c"]


def test_a_photo_that_cannot_be_read_is_a_warning_and_the_others_are_trained_on(photos):
    cache_all(photos)
    (photos.image_directory / "a.png").write_bytes(b"no picture")
    found = training_items(photos)
    assert stems(found.ready) == stems(found.expected) == ["b", "c"]
    assert {problem.severity for problem in found.problems} == {"warning"}
    assert "a.png: not a readable picture" in messages(found)[0]


def test_a_damaged_cache_is_named_and_missing(photos):
    cache_all(photos)
    damaged = photos.cache_folder / "a_0064x0064_hv.safetensors"
    damaged.write_bytes(b"no cache")
    found = training_items(photos)
    assert (stems(found.ready), found.missing_names()) == (["b", "c"], ["a_0064x0064_hv.safetensors"])
    assert str(damaged) in messages(found)[0]


def test_datasets_that_share_a_cache_folder_do_not_disown_each_others_caches(photos, tmp_path):
    for name in ("d", "e"):
        write_picture(tmp_path / "more" / f"{name}.png", (64, 64))
    more = photos.model_copy(update={"image_directory": tmp_path / "more"})
    for dataset in (photos, more):
        cache_all(dataset)
    found = find_training_items([photos, more])
    assert [stems(each.ready) for each in found] == [["a", "b", "c"], ["d", "e"]]
    assert [each.problems for each in found] == [(), ()]


def test_a_list_whose_pictures_are_gone_is_what_is_cached_of_it(photos, tmp_path):
    lines = [f'{{"image_path": "{(tmp_path / "photos" / name).as_posix()}.png", "caption": "x"}}' for name in "ab"]
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    listed = ImageDataset(
        image_jsonl_file=tmp_path / "list.jsonl", cache_directory=tmp_path / "listed", resolution=(64, 64)
    )
    cache_all(listed)
    shutil.rmtree(tmp_path / "photos")
    assert stems(training_items(listed).ready) == ["a", "b"]
