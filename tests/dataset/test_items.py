"""Items: found the same way everywhere, with their captions, and nothing dropped in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.config.dataset_models import DatasetFile, ImageDataset, VideoDataset
from backend.dataset.caption_files import CaptionFiles
from backend.dataset.captions import set_caption
from backend.dataset.expected import expected_items
from backend.dataset.file_index import FileIndex
from backend.dataset.inspection import inspect_datasets
from backend.dataset.items import find_items, usable_items
from backend.dataset.training_items import find_training_items
from backend.errors import DatasetError
from tests.dataset.media import write_clip, write_picture


def test_pictures_are_found_by_name_with_their_captions(tmp_path: Path) -> None:
    folder = tmp_path / "my [old] photos 写真"
    for name in ("b.JPG", "a 1.png", "c.Png", "a.two.webp", "é.bmp"):
        write_picture(folder / name, (20, 20), caption=f"\ufeff  about {name}\n")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "folder.png").mkdir()
    (folder / "notes.md").write_text("")

    items = find_items(ImageDataset(image_directory=folder))

    assert [item.path.name for item in items] == ["a 1.png", "a.two.webp", "b.JPG", "c.Png", "é.bmp"]
    assert [item.stem for item in items] == ["a 1", "a.two", "b", "c", "é"]
    assert items[1].caption == "about a.two.webp"
    assert items[1].caption_path == folder / "a.two.txt"


def test_clips_are_found_with_the_caption_extension_of_the_dataset(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", frames=1, caption=None)
    (tmp_path / "a.caption").write_text("a clip")
    write_picture(tmp_path / "b.png", (20, 20))

    (item,) = find_items(VideoDataset(video_directory=tmp_path, caption_extension=".caption"))

    assert (item.kind, item.caption) == ("video", "a clip")


def test_what_has_no_caption_is_listed_and_warned_about(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", (20, 20), caption=None)
    write_picture(tmp_path / "b.png", (20, 20), caption="")
    items = find_items(ImageDataset(image_directory=tmp_path))

    usable, (problem,) = usable_items(items)

    assert [item.caption for item in items] == [None, ""]
    assert [item.stem for item in usable] == ["b"]
    assert problem.severity == "warning"
    assert problem.message == f"{tmp_path / 'a.png'}: no caption, so it is not trained on"
    assert problem.hint == f"write one to {tmp_path / 'a.txt'}"


def test_files_that_would_share_their_caches_are_warned_about(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", (20, 20))
    write_picture(tmp_path / "a.jpg", (20, 20))

    usable, (problem,) = usable_items(find_items(ImageDataset(image_directory=tmp_path)))

    assert [item.path.name for item in usable] == ["a.jpg"]
    assert problem.message.endswith("a.png: the same name as a.jpg, so it is not trained on")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere: no such folder"):
        find_items(ImageDataset(image_directory=tmp_path / "nowhere"))


def test_a_caption_that_cannot_be_read_leaves_its_item_out_and_no_other(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_picture(tmp_path / f"{name}.png", (20, 20))
    (tmp_path / "a.txt").write_bytes("写真".encode("shift_jis"))
    (tmp_path / "b.txt").unlink()
    (tmp_path / "b.txt").mkdir()

    usable, problems = usable_items(find_items(ImageDataset(image_directory=tmp_path)))

    assert [item.stem for item in usable] == ["c"]
    assert [problem.message for problem in problems] == [
        f"{tmp_path / 'a.png'}: the caption is not UTF-8, so it is not trained on",
        f"{tmp_path / 'b.png'}: the caption cannot be read: Is a directory, so it is not trained on",
    ]
    assert problems[0].hint == f"mend {tmp_path / 'a.txt'}"


def test_a_list_names_pictures_and_their_captions(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png", (20, 20), caption=None)
    lines = [json.dumps({"image_path": str(path), "caption": " first "}), ""]
    (tmp_path / "list.jsonl").write_text("\n".join(lines), encoding="utf-8")

    (item,) = find_items(ImageDataset(image_jsonl_file=tmp_path / "list.jsonl", cache_directory=tmp_path / "cache"))

    assert (item.path, item.stem, item.caption) == (path, "a", "first")
    assert (item.caption_path, item.list_line) == (tmp_path / "list.jsonl", 1)


def test_every_bad_line_of_a_list_is_named(tmp_path: Path) -> None:
    lines = ["{", json.dumps({"image_path": "a.png"}), json.dumps({"video_path": "a.mp4", "caption": 3})]
    (tmp_path / "list.jsonl").write_text("\n".join(lines))

    with pytest.raises(DatasetError) as error:
        find_items(VideoDataset(video_jsonl_file=tmp_path / "list.jsonl", cache_directory=tmp_path))
    first, *others = (problem.message for problem in error.value.problems)
    assert "list.jsonl: line 1: Expecting property name" in first
    for number, told in enumerate(others, start=2):
        assert told.endswith(f'line {number}: {{"video_path": "…", "caption": "…"}} is wanted')


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"list\.jsonl: cannot be read"):
        find_items(ImageDataset(image_jsonl_file=tmp_path / "list.jsonl", cache_directory=tmp_path))


def test_a_file_that_a_list_names_and_that_is_not_there_leaves_only_itself_out(tmp_path: Path) -> None:
    there = write_picture(tmp_path / "a.png", (64, 64), caption=None)
    lines = [json.dumps({"image_path": str(path), "caption": "x"}) for path in (there, tmp_path / "gone.png")]
    (tmp_path / "list.jsonl").write_text("\n".join(lines), encoding="utf-8")
    dataset = ImageDataset(
        image_jsonl_file=tmp_path / "list.jsonl", cache_directory=tmp_path / "cache", resolution=(64, 64)
    )

    items, (problem,) = expected_items(dataset)

    assert [item.media.path for item in items] == [there]
    assert problem.message == f"{tmp_path / 'gone.png'}: not a readable picture: No such file or directory"


def test_control_pictures_of_a_list_are_told_once_to_be_unused_and_stay_when_a_caption_is_written(
    tmp_path: Path,
) -> None:
    paths = [write_picture(tmp_path / f"{name}.png", (64, 64 + ord(name)), caption=None) for name in "abc"]
    controls = [{"control_path": "x.png"}, {"control_path_0": "y.png", "control_path_1": "z.png"}, {}]
    entries = [
        {"image_path": str(path), "caption": "x", **control} for path, control in zip(paths, controls, strict=True)
    ]
    listed = tmp_path / "list.jsonl"
    listed.write_text("\n".join(map(json.dumps, entries)), encoding="utf-8")
    dataset = ImageDataset(image_jsonl_file=listed, cache_directory=tmp_path / "cache", resolution=(64, 64))
    told = f"{listed}: control_path on 2 lines is kept, but HunyuanVideo does not train on it"

    (found,) = find_training_items([dataset])
    looked_at = inspect_datasets(DatasetFile(datasets=(dataset,)), index=FileIndex())
    CaptionFiles(tmp_path / "record").write(set_caption(find_items(dataset)[0], "new"), what="set")

    assert [problem.message for problem in found.problems] == [told]
    assert [problem.message for problem in looked_at.problems] == [told]
    lines = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    assert lines == [{**entries[0], "caption": "new"}, *entries[1:]]
