"""The dataset file while it is edited: what the user wrote stays, and mistakes have their place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import toml

from backend.config.dataset import read_dataset_file
from backend.config.dataset_document import GENERAL, DatasetDocument, dataset_fields
from backend.errors import DatasetError

WRITTEN = """\
# for the cat
[general]
resolution = [960, 544]  # my size

# photos of the cat
[[datasets]]
image_directory = 'photos'   # here
num_repeats = 3

# and clips
[[datasets]]
video_directory = "clips"
"""


def test_comments_order_and_spelling_stay_when_values_change() -> None:
    document = DatasetDocument(WRITTEN)
    document.set(GENERAL, "resolution", [512, 512])
    document.set(1, "num_repeats", 5)
    document.set(1, "batch_size", 2)
    document.set(2, "target_frames", [1, 25])
    document.set(GENERAL, "enable_bucket", True)

    assert document.text == (
        "# for the cat\n"
        "[general]\n"
        "resolution = [512, 512]  # my size\n"
        "enable_bucket = true # Sort items by shape instead of cropping all to one.\n"
        "\n"
        "# photos of the cat\n"
        "[[datasets]]\n"
        "image_directory = 'photos'   # here\n"
        "num_repeats = 5\n"
        "batch_size = 2 # Items that one step learns from together.\n"
        "\n"
        "# and clips\n"
        "[[datasets]]\n"
        'video_directory = "clips"\n'
        "target_frames = [1, 25] # Lengths of the windows in frames; 4k + 1 each.\n"
    )


def test_a_document_that_is_not_changed_is_saved_as_it_was(tmp_path: Path) -> None:
    DatasetDocument(WRITTEN).save(tmp_path / "dataset.toml")

    assert (tmp_path / "dataset.toml").read_text() == WRITTEN


def test_datasets_are_added_and_removed_and_keys_taken_out() -> None:
    document = DatasetDocument(WRITTEN)
    assert document.add({"image_directory": "more", "num_repeats": 2}) == 3
    document.remove(1)
    document.set(GENERAL, "resolution", None)

    assert document.general == {}
    assert document.datasets == [{"video_directory": "clips"}, {"image_directory": "more", "num_repeats": 2}]
    assert [document.kind(1), document.kind(2)] == ["video", "image"]
    assert 'video_directory = "clips"\n\n[[datasets]]\nimage_directory = "more" # Folder' in document.text
    document.remove(2)
    document.remove(1)
    assert document.datasets == []


def test_a_document_begins_empty_and_its_general_table_stands_in_front(tmp_path: Path) -> None:
    document = DatasetDocument()
    document.add({"image_directory": "photos"})
    document.set(GENERAL, "resolution", 512)
    document.save(tmp_path / "dataset.toml")

    assert document.text.startswith("[general]\nresolution = 512 # ")
    assert read_dataset_file(tmp_path / "dataset.toml").datasets[0].resolution == (512, 512)


def test_mistakes_are_told_with_dataset_and_key_and_keep_it_from_being_saved(tmp_path: Path) -> None:
    document = DatasetDocument(WRITTEN)
    document.set(GENERAL, "resolution", 3)
    document.set(1, "num_repeats", 0)
    document.set(2, "target_frames", [0])

    places = {(problem.dataset, problem.key): problem.message for problem in document.problems()}

    assert set(places) == {(0, "resolution"), (1, "num_repeats"), (2, "target_frames")}
    assert places[1, "num_repeats"] == "dataset 1: num_repeats = 0, but at least 1 is wanted"
    with pytest.raises(DatasetError, match="num_repeats = 0"):
        document.save(tmp_path / "dataset.toml")
    assert list(tmp_path.iterdir()) == []


def test_doubts_have_their_place_too() -> None:
    (problem,) = DatasetDocument("[[datasets]]\nvideo_directory = 'a'\ntarget_frames = [10]\n").problems()

    assert (problem.severity, problem.dataset, problem.key) == ("warning", 1, "target_frames")


def test_a_file_in_json_is_read_and_saved_as_toml(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"general": {"batch_size": 2}, "datasets": [{"image_directory": "a"}]}))
    document = DatasetDocument.read(tmp_path / "a.json")
    document.save(tmp_path / "a.toml")

    assert read_dataset_file(tmp_path / "a.toml").datasets == read_dataset_file(tmp_path / "a.json").datasets
    with pytest.raises(DatasetError, match=r"must end in \.toml"):
        document.save(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["C:\\Users\\me\\my photos", "写真 [2]", 'a "quoted" name', "it's"])
def test_every_reader_takes_the_folders_that_are_set(tmp_path: Path, name: str) -> None:
    document = DatasetDocument("[[datasets]]\nimage_directory = 'a'\n")
    document.set(1, "image_directory", name)
    document.save(tmp_path / "dataset.toml")

    assert toml.load(tmp_path / "dataset.toml")["datasets"][0]["image_directory"] == name
    assert read_dataset_file(tmp_path / "dataset.toml").datasets[0].image_directory == Path(name)


@pytest.mark.parametrize(
    ("text", "told"),
    [("[general", "not valid TOML"), ("datasets = 3", r"\[\[datasets\]\]"), ("general = 3", r"\[general\]")],
)
def test_what_is_no_dataset_file_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "a.toml").write_text(text)

    with pytest.raises(DatasetError, match=told) as error:
        DatasetDocument.read(tmp_path / "a.toml")
    assert str(error.value).startswith(str(tmp_path / "a.toml"))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff")

    for name in ("a.toml", "b.toml"):
        with pytest.raises(DatasetError, match=rf"{name}: cannot be read"):
            DatasetDocument.read(tmp_path / name)


def test_keys_and_numbers_that_are_none_are_refused() -> None:
    document = DatasetDocument(WRITTEN)

    with pytest.raises(KeyError):
        document.set(1, "num_repeat", 1)
    for number in (-1, 3):
        with pytest.raises(IndexError):
            document.set(number, "num_repeats", 1)


def test_the_fields_of_a_form_come_from_the_declarations() -> None:
    video = {field.key: field for field in dataset_fields("video")}

    assert [field.key for field in dataset_fields("general")] == [
        "caption_extension",
        "batch_size",
        "num_repeats",
        "enable_bucket",
        "bucket_no_upscale",
        "resolution",
    ]
    assert list(video)[:3] == ["video_directory", "video_jsonl_file", "cache_directory"]
    assert video["frame_extraction"].schema["enum"] == ["head", "chunk", "slide", "uniform", "full"]
    assert (video["max_frames"].default, video["max_frames"].schema["minimum"]) == (129, 1)
    assert video["target_frames"].help.startswith("Lengths of the windows")


def test_keys_that_are_of_no_use_here_stay_when_others_are_edited(tmp_path: Path) -> None:
    control = tmp_path / "control"
    control.mkdir()
    text = (
        f"[[datasets]]\nimage_directory = 'a'\ncontrol_directory = '{control}' # mine\nmultiple_target = true\n"
        "fp_1f_clean_indices = [0, 9]\nflux_kontext_no_resize_control = true\n"
    )
    document = DatasetDocument(text)
    document.set(1, "num_repeats", 2)
    document.save(tmp_path / "dataset.toml")

    assert document.text.startswith(text)
    assert {problem.key for problem in document.problems()} == {
        "control_directory",
        "multiple_target",
        "fp_1f_clean_indices",
        "flux_kontext_no_resize_control",
    }
    document.set(1, "control_directory", None)
    assert "control_directory" not in document.text
