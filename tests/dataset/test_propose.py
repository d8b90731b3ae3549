"""Proposals: a folder becomes datasets that can be trained on as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.config.dataset import parse_datasets
from backend.dataset.expected import expected_items
from backend.dataset.propose import LONGEST_WINDOW, MOST_FILES_READ, propose_datasets
from backend.errors import DatasetError
from tests.dataset.media import write_clip, write_picture


def test_pictures_of_many_shapes_get_buckets_and_a_size_that_few_are_enlarged_to(tmp_path: Path) -> None:
    for index, size in enumerate([(1000, 600), (600, 1000), (700, 700), (800, 600), (100, 100)]):
        write_picture(tmp_path / f"{index}.png", size)
    (tmp_path / "x.png").write_bytes(b"no picture")

    (proposed,) = propose_datasets(tmp_path, cache_root=tmp_path / "caches")

    assert (proposed.kind, proposed.counted, proposed.unreadable) == ("image", 6, 1)
    assert proposed.values == {
        "image_directory": tmp_path.as_posix(),
        "caption_extension": ".txt",
        "enable_bucket": True,
        "resolution": [384, 384],
    }


def test_clips_get_windows_that_fit_and_a_resolution_in_their_shape(tmp_path: Path) -> None:
    for index, frames in enumerate([20, 22, 30, 24]):
        write_clip(tmp_path / f"{index}.mp4", (640, 360), frames=frames)

    (proposed,) = propose_datasets(tmp_path)

    assert proposed.values["resolution"] == [512, 288]
    assert (proposed.values["target_frames"], proposed.values["frame_extraction"]) == ([17], "head")
    assert "source_fps" not in proposed.values


def test_long_clips_are_cut_into_several_windows(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", frames=80)

    (proposed,) = propose_datasets(tmp_path)

    assert (proposed.values["target_frames"], proposed.values["frame_extraction"]) == ([LONGEST_WINDOW], "chunk")


def test_what_is_proposed_can_be_trained_on(tmp_path: Path) -> None:
    for index in range(3):
        write_picture(tmp_path / f"{index}.png", (300 + 100 * index, 400))
        write_clip(tmp_path / f"clip{index}.mp4", (320, 240), frames=30)

    datasets = parse_datasets({"datasets": [each.values for each in propose_datasets(tmp_path)]}).datasets

    assert [dataset.kind for dataset in datasets] == ["image", "video"]
    assert [len(expected_items(dataset)[0]) for dataset in datasets] == [3, 3]
    assert len({dataset.cache_folder for dataset in datasets}) == 2


def test_captions_with_another_ending_are_found(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", (64, 64), caption=None)
    (tmp_path / "a.caption").write_text("a picture")

    assert propose_datasets(tmp_path)[0].values["caption_extension"] == ".caption"


def test_folders_within_are_proposed_where_the_folder_itself_holds_nothing(tmp_path: Path) -> None:
    write_picture(tmp_path / "cats" / "a.png", (64, 64))
    write_clip(tmp_path / "dogs" / "a.mp4", frames=5)
    (tmp_path / ".hidden").mkdir()

    proposed = propose_datasets(tmp_path)

    assert [each.kind for each in proposed] == ["image", "video"]
    assert proposed[1].values["video_directory"] == (tmp_path / "dogs").as_posix()


def test_of_a_large_folder_a_part_is_read(tmp_path: Path) -> None:
    for index in range(MOST_FILES_READ + 10):
        (tmp_path / f"{index:04}.png").write_bytes(b"no picture")

    (proposed,) = propose_datasets(tmp_path)

    assert proposed.counted == MOST_FILES_READ + 10
    assert proposed.unreadable <= MOST_FILES_READ
    assert "resolution" not in proposed.values


def test_a_folder_that_holds_nothing_or_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no pictures and no clips"):
        propose_datasets(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        propose_datasets(tmp_path / "none")


def test_a_name_that_leaves_no_room_for_that_of_a_caption_is_no_error(tmp_path: Path) -> None:
    write_picture(tmp_path / f"{'x' * 250}.png", (64, 64), caption=None)

    (proposed,) = propose_datasets(tmp_path)

    assert (proposed.counted, proposed.values["caption_extension"]) == (1, ".txt")
