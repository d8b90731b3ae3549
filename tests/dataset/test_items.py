"""Items: found the same way everywhere, with their captions, and nothing dropped in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.config.dataset_models import ImageDataset, VideoDataset
from backend.dataset.items import find_items, usable_items
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
    lines = ["{", json.dumps({"image_path": "a.png"}), json.dumps({"video_path": "none.mp4", "caption": "a"})]
    (tmp_path / "list.jsonl").write_text("\n".join(lines))

    with pytest.raises(DatasetError) as error:
        find_items(VideoDataset(video_jsonl_file=tmp_path / "list.jsonl", cache_directory=tmp_path))
    first, second, third = (problem.message for problem in error.value.problems)
    assert "list.jsonl: line 1: Expecting property name" in first
    assert second.endswith('line 2: {"video_path": "…", "caption": "…"} is wanted')
    assert third.endswith("line 3: none.mp4 does not exist")


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"list\.jsonl: cannot be read"):
        find_items(ImageDataset(image_jsonl_file=tmp_path / "list.jsonl", cache_directory=tmp_path))
