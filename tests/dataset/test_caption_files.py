"""Captions on disk: written whole, undone in order, and nothing else is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.config.dataset_models import ImageDataset
from backend.dataset.caption_files import CaptionFiles
from backend.dataset.captions import CaptionChange, add_trigger, captions_from_names, replace_in_captions
from backend.dataset.items import MediaItem, find_items
from backend.errors import DatasetError
from tests.dataset.media import write_picture


@pytest.fixture
def photos(tmp_path: Path) -> ImageDataset:
    for name, caption in (("a", "a cat"), ("b", "a dog"), ("c", None)):
        write_picture(tmp_path / "photos" / f"{name}.png", (20, 20), caption=caption)
    return ImageDataset(image_directory=tmp_path / "photos")


@pytest.fixture
def files(tmp_path: Path) -> CaptionFiles:
    return CaptionFiles(tmp_path / "workspace" / "captions.json")


def captions(photos: ImageDataset) -> dict[str, str | None]:
    return {item.stem: item.caption for item in find_items(photos)}


def test_edits_are_written_and_undone_one_after_another(photos: ImageDataset, files: CaptionFiles, tmp_path) -> None:
    media = {path: path.read_bytes() for path in photos.image_directory.glob("*.png")}
    assert files.write(add_trigger(find_items(photos), "sks"), what="trigger") == 2
    assert files.write(captions_from_names(find_items(photos)), what="names") == 1
    assert captions(photos) == {"a": "sks, a cat", "b": "sks, a dog", "c": "c"}

    again = CaptionFiles(tmp_path / "workspace" / "captions.json")  # the program was started anew
    assert [(edit.what, edit.count) for edit in again.edits()] == [("trigger", 2), ("names", 1)]
    assert again.undo().what == "names"
    assert not (photos.image_directory / "c.txt").exists()
    assert again.undo().what == "trigger"
    assert captions(photos) == {"a": "a cat", "b": "a dog", "c": None}
    assert again.undo() is None
    assert {path: path.read_bytes() for path in photos.image_directory.glob("*.png")} == media
    assert sorted(path.name for path in photos.image_directory.iterdir()) == [
        "a.png",
        "a.txt",
        "b.png",
        "b.txt",
        "c.png",
    ]


def test_what_was_changed_meanwhile_is_not_overwritten(photos: ImageDataset, files: CaptionFiles) -> None:
    changes = replace_in_captions(find_items(photos), "a ", "the ")
    (photos.image_directory / "b.txt").write_text("written by hand")

    with pytest.raises(DatasetError, match=r"b\.txt: has been changed since"):
        files.write(changes, what="replace")
    assert captions(photos) == {"a": "a cat", "b": "written by hand", "c": None}


def test_an_edit_is_not_undone_over_a_later_change(photos: ImageDataset, files: CaptionFiles) -> None:
    files.write(add_trigger(find_items(photos), "sks"), what="trigger")
    (photos.image_directory / "a.txt").write_text("written by hand")

    with pytest.raises(DatasetError, match=r"a\.txt: has been changed since"):
        files.undo()
    assert captions(photos) == {"a": "written by hand", "b": "sks, a dog", "c": None}
    assert len(files.edits()) == 1


def test_a_picture_is_never_written_to(tmp_path: Path, files: CaptionFiles) -> None:
    path = write_picture(tmp_path / "a.png", (20, 20), caption=None)
    before = path.read_bytes()
    (item,) = find_items(ImageDataset(image_directory=tmp_path, caption_extension=".png"))

    with pytest.raises(DatasetError, match="a picture or clip has this ending"):
        files.write([CaptionChange(item, None, "a cat")], what="set")
    assert path.read_bytes() == before


def test_captions_of_a_list_are_written_into_its_lines_and_undone(tmp_path: Path, files: CaptionFiles) -> None:
    lines = [
        {
            "image_path": str(write_picture(tmp_path / f"{name}.png", (20, 20), caption=None)),
            "caption": f"a {name}",
            "n": 1,
        }
        for name in ("cat", "dog")
    ]
    before = json.dumps(lines[0]) + "\r\n\n" + json.dumps(lines[1], separators=(",", ":"))
    path = tmp_path / "list.jsonl"
    path.write_bytes(before.encode())
    listed = ImageDataset(image_jsonl_file=path, cache_directory=tmp_path / "cache")

    assert files.write(replace_in_captions(find_items(listed), "dog", "犬"), what="replace") == 1
    assert path.read_bytes().decode().split("\n")[:2] == before.split("\n")[:2]
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[2]) == {**lines[1], "caption": "a 犬"}
    assert files.write(add_trigger(find_items(listed), "sks"), what="trigger") == 2
    assert captions(listed) == {"cat": "sks, a cat", "dog": "sks, a 犬"}
    files.undo()
    files.undo()
    assert captions(listed) == {"cat": "a cat", "dog": "a dog"}


def test_a_list_that_was_changed_meanwhile_is_not_overwritten(tmp_path: Path, files: CaptionFiles) -> None:
    picture = write_picture(tmp_path / "a.png", (20, 20), caption=None)
    path = tmp_path / "list.jsonl"
    path.write_text(json.dumps({"image_path": str(picture), "caption": "a cat"}))
    changes = replace_in_captions(
        find_items(ImageDataset(image_jsonl_file=path, cache_directory=tmp_path)), "cat", "dog"
    )
    for content in (json.dumps({"image_path": str(picture), "caption": "by hand"}), "", "{"):
        path.write_text(content)
        with pytest.raises(DatasetError, match=r"list\.jsonl: has been changed since"):
            files.write(changes, what="replace")
        assert path.read_text() == content


def test_a_caption_that_is_a_link_stays_one(photos: ImageDataset, files: CaptionFiles, tmp_path: Path) -> None:
    (tmp_path / "shared.txt").write_text("shared")
    (photos.image_directory / "c.txt").symlink_to(tmp_path / "shared.txt")

    files.write(replace_in_captions(find_items(photos), "shared", "common"), what="replace")

    assert (photos.image_directory / "c.txt").is_symlink()
    assert (tmp_path / "shared.txt").read_text() == "common"


def test_what_was_written_before_the_disk_refused_can_be_undone(photos: ImageDataset, files: CaptionFiles) -> None:
    changes = add_trigger(find_items(photos), "sks")
    blocked = CaptionChange(MediaItem(Path("x.png"), "image", "x", None, Path("/proc/none/x.txt")), None, "x")

    with pytest.raises(DatasetError, match="cannot be written"):
        files.write([*changes, blocked], what="trigger")
    assert captions(photos)["a"] == "sks, a cat"
    files.undo()
    assert captions(photos)["a"] == "a cat"
