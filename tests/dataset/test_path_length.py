"""Paths that are too long for the system are told before anything is written."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from backend.config.dataset_models import DatasetFile, ImageDataset
from backend.dataset.expected import expected_items
from backend.dataset.file_index import FileIndex
from backend.dataset.inspection import inspect_datasets
from backend.dataset.path_length import TEMPORARY, WINDOWS_LONGEST, excess_of, length_of, room_in
from tests.dataset.media import write_picture


@pytest.mark.parametrize(
    ("path", "length"),
    [
        (PureWindowsPath(r"C:\a\b.txt"), 10),
        (PureWindowsPath("C:\\写真"), 5),
        (PureWindowsPath("C:\\😀"), 5),  # two units of 16 bits
        (PureWindowsPath(r"\\server\share\a"), 16),
        (PurePosixPath("/写真"), 7),
        (PurePosixPath("/a\udcff"), 3),  # a name that is no UTF-8
    ],
)
def test_a_path_is_as_long_as_its_system_counts(path, length: int) -> None:
    assert length_of(path) == length


def test_windows_leaves_a_folder_of_200_characters_little_room() -> None:
    folder = PureWindowsPath("C:\\" + "f" * 197)

    room = room_in(folder, longest=WINDOWS_LONGEST)

    assert length_of(folder / ("n" * room)) == WINDOWS_LONGEST - TEMPORARY
    assert room_in(PureWindowsPath("C:\\" + "f" * 250), longest=WINDOWS_LONGEST) < 0


def far_down(folder: Path) -> Path:
    """A folder, which is not there, with a path that no system takes."""
    return folder.joinpath(*["d" * 200] * 200)


def test_a_name_is_too_long_for_its_folder_by_so_many_characters(tmp_path: Path) -> None:
    assert excess_of(tmp_path, "a.safetensors") == 0
    assert excess_of(far_down(tmp_path), "aa") == excess_of(far_down(tmp_path), "a") + 1 > 0


def test_a_cache_with_a_path_that_is_too_long_is_told_in_the_list_and_leaves_its_item_out(tmp_path: Path) -> None:
    write_picture(tmp_path / "photos" / "a.png", (64, 64))
    dataset = ImageDataset(image_directory=tmp_path / "photos", cache_directory=far_down(tmp_path), resolution=(64, 64))

    items, (problem,) = expected_items(dataset)
    (report,) = inspect_datasets(DatasetFile(datasets=(dataset,)), index=FileIndex()).items

    assert items == [] and "a.png: the path of its cache would be" in problem.message
    assert "another cache_directory" in problem.hint
    assert [warning.id for warning in report.warnings] == ["path_too_long"]
    assert (report.wanted, report.cache) == (0, "none")
