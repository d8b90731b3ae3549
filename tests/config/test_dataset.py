"""The dataset file: every mistake named at once, and what is written is read back by everyone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import toml
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.config.dataset import parse_datasets, read_dataset_file, write_dataset_file
from backend.config.dataset_models import (
    OTHER_MODELS_KEYS,
    DatasetFile,
    ImageDataset,
    VideoDataset,
    whole_latent_frames,
)
from backend.errors import DatasetError

CONTROL = "control_directory"


def mistakes(values: dict) -> list[str]:
    with pytest.raises(DatasetError) as error:
        parse_datasets(values)
    return [str(problem) for problem in error.value.problems]


def test_a_file_of_musubi_tuner_is_read(tmp_path: Path) -> None:
    file = tmp_path / "dataset.TOML"
    file.write_text(
        """
        [general]
        resolution = [960, 544]
        caption_extension = ".caption"
        batch_size = 2
        enable_bucket = true

        [[datasets]]
        image_directory = "photos"
        num_repeats = 3

        [[datasets]]
        video_directory = "clips"
        cache_directory = "clips/cache"
        batch_size = 1
        target_frames = [1, 25, 45]
        frame_extraction = "uniform"
        frame_sample = 4
        source_fps = 30
        """,
        encoding="utf-8-sig",
    )

    photos, clips = read_dataset_file(file).datasets

    assert photos == ImageDataset(
        image_directory="photos", caption_extension=".caption", batch_size=2, num_repeats=3, enable_bucket=True
    )
    assert photos.cache_folder == Path("photos")
    assert (clips.kind, clips.batch_size, clips.source_fps, clips.cache_folder) == (
        "video",
        1,
        30.0,
        Path("clips/cache"),
    )
    assert clips.window_lengths == (1, 25, 45)


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    values = {"general": {"resolution": 512}, "datasets": [{"image_directory": "写真 [1]"}]}
    (tmp_path / "a.json").write_text(json.dumps(values), encoding="utf-8")
    (tmp_path / "a.toml").write_text(toml.dumps(values), encoding="utf-8")

    assert read_dataset_file(tmp_path / "a.json") == read_dataset_file(tmp_path / "a.toml")
    assert read_dataset_file(tmp_path / "a.json").datasets[0].resolution == (512, 512)


def test_all_mistakes_are_told_at_once_with_dataset_and_key() -> None:
    told = mistakes(
        {
            "generl": {},
            "general": {"batch_size": 0, "cache_directory": "x"},
            "datasets": [
                {"image_directory": "a", "num_repeat": 2, "caption_extension": "txt"},
                {"video_directory": "b", "frame_extraction": "heads", "target_frames": [0], "frame_stride": True},
                {"image_directory": "c", "video_directory": "c"},
                {"image_directry": "d"},
                {"video_jsonl_file": "e.jsonl"},
                "f",
            ],
        }
    )

    assert told == [
        "unknown key generl (did you mean general?)",
        "general: cache_directory belongs in a [[datasets]] entry",
        "dataset 1: unknown key num_repeat (did you mean num_repeats?)",
        'dataset 1: caption_extension = "txt", but an ending with its dot is wanted, such as ".txt"',
        "general: batch_size = 0, but at least 1 is wanted",
        "dataset 2: target_frames = [0], but a list of whole numbers from 1 up is wanted, such as [1, 25]",
        "dataset 2: frame_extraction = \"heads\", but one of 'head', 'chunk', 'slide', 'uniform' or 'full' is wanted",
        "dataset 2: frame_stride = true, but a whole number is wanted",
        "dataset 3: image_directory and video_directory in one entry (make one entry for each)",
        "dataset 4: no pictures and no clips (did you mean image_directory?)",
        "dataset 5: video_jsonl_file needs cache_directory (name a folder for the caches)",
        'dataset 6: a table is wanted, found "f"',
    ]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"resolution": 15}, "both sides must be at least 16 pixels"),
        ({"resolution": [960, 540]}, "the nearest is [960, 544], or set enable_bucket = true"),
        ({"resolution": [16, 32], "enable_bucket": True}, "buckets need at least the area of 32x32 pixels"),
        ({"resolution": "512"}, "a whole number or [width, height] in pixels is wanted"),
        ({"resolution": [512.0, 512]}, "a whole number or [width, height] in pixels is wanted"),
        ({"num_repeats": -1}, "at least 1 is wanted"),
        ({"batch_size": 1.0}, "a whole number is wanted"),
        ({"enable_bucket": 1}, "true or false is wanted"),
        ({"caption_extension": 3}, "a text is wanted"),
        ({"cache_directory": ""}, "a path is wanted"),
        ({"target_frames": [25]}, "target_frames belongs in a dataset of the other kind"),
    ],
)
def test_a_value_that_cannot_work_is_refused(values: dict, told: str) -> None:
    (message,) = mistakes({"datasets": [{"image_directory": "a", **values}]})

    assert message.startswith("dataset 1: ")
    assert message.endswith(told)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"source_fps": 0}, "more than 0 is wanted"),
        ({"source_fps": "30"}, "a number is wanted"),
        ({"target_frames": 25}, "a list of whole numbers from 1 up is wanted, such as [1, 25]"),
        ({"target_frames": []}, "a list of whole numbers from 1 up is wanted, such as [1, 25]"),
        ({"max_frames": 0}, "at least 1 is wanted"),
        ({"frame_sample": 0}, "at least 1 is wanted"),
    ],
)
def test_a_video_value_that_cannot_work_is_refused(values: dict, told: str) -> None:
    assert mistakes({"datasets": [{"video_directory": "a", **values}]})[0].endswith(told)


def test_a_resolution_off_the_grid_is_fine_with_buckets() -> None:
    values = {"general": {"resolution": [950, 541]}, "datasets": [{"image_directory": "a", "enable_bucket": True}]}

    assert parse_datasets(values).datasets[0].resolution == (950, 541)


def test_two_datasets_cannot_share_a_cache_folder(tmp_path: Path) -> None:
    told = mistakes(
        {
            "datasets": [
                {"image_directory": str(tmp_path / "a")},
                {"image_directory": "b", "cache_directory": str(tmp_path / "b" / ".." / "a")},
            ]
        }
    )

    assert len(told) == 1
    assert "is that of dataset 1 too (give each dataset a cache_directory of its own)" in told[0]


def test_keys_of_other_models_change_nothing_are_told_and_are_written_back(tmp_path: Path) -> None:
    others = {"multiple_target": True, "control_resolution": [512, 256], "fp_1f_clean_indices": [0, 9]}
    file = parse_datasets({"datasets": [{"image_directory": "a", **others}]})

    assert [problem.message for problem in file.warnings] == [
        f"dataset 1: {key} is for other models than HunyuanVideo: it is kept, and changes nothing" for key in others
    ]
    assert {problem.severity for problem in file.warnings} == {"warning"}
    write_dataset_file(tmp_path / "dataset.toml", file)
    (written,) = toml.load(tmp_path / "dataset.toml")["datasets"]
    assert {key: written[key] for key in others} == others
    assert read_dataset_file(tmp_path / "dataset.toml").datasets == file.datasets


@pytest.mark.parametrize("key", OTHER_MODELS_KEYS)
def test_each_key_that_musubi_tuner_takes_for_other_models_is_kept_by_a_run(tmp_path: Path, key: str) -> None:
    file = parse_datasets({"general": {"batch_size": 2}, "datasets": [{"image_directory": "a", key: 3}]}).absolute()
    write_dataset_file(tmp_path / "dataset.toml", file)

    assert toml.load(tmp_path / "dataset.toml")["datasets"][0][key] == 3


def test_a_control_folder_is_kept_told_once_to_be_unused_and_told_where_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    file = parse_datasets(
        {
            "datasets": [
                {"image_directory": "a", "control_directory": str(tmp_path / "there")},
                {"video_directory": "b", "control_directory": str(tmp_path / "gone")},
            ]
        }
    )
    write_dataset_file(tmp_path / "dataset.toml", file)

    assert [(problem.dataset, problem.key, problem.message) for problem in file.warnings] == [
        (1, "control_directory", f"dataset 1: {CONTROL} is kept, but HunyuanVideo does not train on what lies there"),
        (2, "control_directory", f"dataset 2: {CONTROL} names no folder: {tmp_path / 'gone'}"),
    ]
    assert [each.control_directory.name for each in read_dataset_file(tmp_path / "dataset.toml").datasets] == [
        "there",
        "gone",
    ]


def test_an_unknown_key_is_refused_in_code_too() -> None:
    with pytest.raises(ValueError, match="unknown keys: image_directry"):
        ImageDataset(image_directry="a")


def test_lengths_between_latent_frames_are_cut_with_a_warning() -> None:
    file = parse_datasets({"datasets": [{"video_directory": "a", "target_frames": [79, 10, 9]}]})

    assert file.datasets[0].window_lengths == (9, 77)
    assert [problem.message for problem in file.warnings] == [
        "dataset 1: target_frames 79 is cut to 77",
        "dataset 1: target_frames 10 is cut to 9",
    ]
    assert [whole_latent_frames(frames) for frames in (1, 4, 5, 79)] == [1, 1, 5, 77]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.yaml", "", "must end in .toml or .json"),
        ("a.toml", "[general", "not a valid TOML file"),
        ("a.json", "{", "not a valid JSON file"),
        ("a.json", "[]", "a table with datasets is wanted"),
        ("a.toml", "", "no datasets"),
        ("a.toml", "datasets = 3", "no datasets"),
    ],
)
def test_a_file_that_is_no_dataset_file_is_refused_by_name(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(DatasetError, match=told) as error:
        read_dataset_file(tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / name))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.toml: cannot be read: No such file"):
        read_dataset_file(tmp_path / "none.toml")


def test_paths_become_absolute_and_the_cache_folder_is_written_out() -> None:
    file = parse_datasets({"datasets": [{"video_directory": "clips"}]}).absolute()

    assert file.datasets[0].video_directory == Path.cwd() / "clips"
    assert file.datasets[0].cache_directory == Path.cwd() / "clips"


def test_a_written_file_explains_itself(tmp_path: Path) -> None:
    file = DatasetFile(datasets=(VideoDataset(video_directory="clips", source_fps=30),))
    write_dataset_file(tmp_path / "dataset.toml", file)

    text = (tmp_path / "dataset.toml").read_text(encoding="utf-8")
    assert 'frame_extraction = "head" # ' in text
    assert "source_fps = 30.0 # " in text  # musubi-tuner refuses a whole number here
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.toml"]


# toml misreads control characters, and a text that begins with two quotes: no name of a folder that anyone has.
paths = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
    .filter(lambda text: str(Path(text)).strip() and not text.startswith('""'))
    .map(Path)
)
sides = st.integers(2, 100).map(lambda count: 16 * count)
shared = {
    "resolution": st.tuples(sides, sides),
    "caption_extension": st.sampled_from([".txt", ".caption", ".キャプション"]),
    "batch_size": st.integers(1, 100),
    "num_repeats": st.integers(1, 100),
    "enable_bucket": st.booleans(),
    "bucket_no_upscale": st.booleans(),
}
pictures = st.fixed_dictionaries({"image_directory": paths}, optional=shared)
clips = st.fixed_dictionaries(
    {"video_directory": paths},
    optional={
        **shared,
        "target_frames": st.lists(st.integers(1, 200), min_size=1, max_size=4).map(tuple),
        "frame_extraction": st.sampled_from(["head", "chunk", "slide", "uniform", "full"]),
        "frame_stride": st.integers(1, 9),
        "source_fps": st.sampled_from([12, 23.976, 30, 60.0]),
    },
)


@settings(max_examples=60, deadline=None)
@given(pictures.map(lambda values: ImageDataset(**values)), clips.map(lambda values: VideoDataset(**values)))
def test_what_is_written_is_read_back_here_and_by_toml(
    tmp_path_factory: pytest.TempPathFactory, photos: ImageDataset, videos: VideoDataset
) -> None:
    path = tmp_path_factory.mktemp("written") / "dataset.toml"
    file = DatasetFile(
        datasets=(
            photos.model_copy(update={"cache_directory": Path("cache 1")}),
            videos.model_copy(update={"cache_directory": Path("cache 2")}),
        )
    )

    write_dataset_file(path, file)

    assert read_dataset_file(path).datasets == file.datasets
    assert parse_datasets(toml.load(path)).datasets == file.datasets
