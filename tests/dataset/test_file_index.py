"""The index: nothing is read twice, and nothing that has changed is told from memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.dataset.cache_header import read_cache_header
from backend.dataset.file_index import FileIndex
from backend.dataset.media_facts import read_facts
from backend.errors import DatasetError
from tests.dataset.media import write_clip, write_latents, write_picture


def test_facts_outlive_the_program_and_the_file_is_not_opened_again(tmp_path: Path) -> None:
    picture, clip = write_picture(tmp_path / "写真.png", (40, 30)), write_clip(tmp_path / "a.mp4", frames=7)
    index = FileIndex(tmp_path / "index")
    told = [index.facts(picture, "image"), index.facts(clip, "video", limit=1)]
    index.save()
    assert told == [read_facts(picture, "image"), read_facts(clip, "video")]
    for path in (picture, clip):
        _spoil_in_secret(path)

    again = FileIndex(tmp_path / "index")

    assert [again.known_facts(picture, "image"), again.facts(clip, "video")] == told


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    index = FileIndex(tmp_path / "index")
    path = write_picture(tmp_path / "a.png", (40, 30), caption="before")
    assert (index.facts(path, "image").size, index.caption(tmp_path / "a.txt")) == ((40, 30), ("before", ""))
    write_picture(path, (50, 30), caption="behind")
    path.with_suffix(".txt").write_text("and longer")

    assert index.known_facts(path, "image") is None
    assert (index.facts(path, "image").size, index.caption(tmp_path / "a.txt")) == ((50, 30), ("and longer", ""))


def test_what_is_wrong_with_a_file_is_remembered_until_it_changes(tmp_path: Path) -> None:
    index = FileIndex(tmp_path / "index")
    path = tmp_path / "a.png"
    path.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="not a readable picture"):
        index.facts(path, "image")
    index.save()
    again = FileIndex(tmp_path / "index")

    assert isinstance(again.known_facts(path, "image"), DatasetError)
    with pytest.raises(DatasetError, match="not a readable picture"):
        again.facts(path, "image")
    write_picture(path, (40, 30))
    assert again.facts(path, "image").size == (40, 30)


def test_headers_are_those_of_the_caches_and_missing_ones_are_not_remembered(tmp_path: Path) -> None:
    index = FileIndex(tmp_path / "index")
    path = tmp_path / "a_0064x0064_hv.safetensors"
    assert index.header(path).is_missing
    write_latents(path, (64, 64))

    assert index.header(path) == index.header(path) == read_cache_header(path)
    assert list(index.header(path).shapes.values()) == [(16, 1, 8, 8)]
    path.write_bytes(b"no cache")
    assert "not a safetensors file" in index.header(path).fault
    assert not index.header(path).is_missing


def test_files_that_are_gone_leave_the_index(tmp_path: Path) -> None:
    index = FileIndex(tmp_path / "index")
    for name in ("a", "b"):
        index.facts(write_picture(tmp_path / "photos" / f"{name}.png", (40, 30)), "image")
    (tmp_path / "photos" / "a.png").unlink()
    index.save()

    (shard,) = (tmp_path / "index").iterdir()
    assert "b.png" in shard.read_text() and "a.png" not in shard.read_text()


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "photos" / "a.png", (40, 30))
    for content in ("{", "3", "[]", "[0, {}]", "\x00"):
        for shard in (tmp_path / "index").glob("*"):
            shard.write_text(content)
        index = FileIndex(tmp_path / "index")
        assert index.known_facts(path, "image") is None
        assert index.facts(path, "image").size == (40, 30)
        index.save()
    assert FileIndex(tmp_path / "index").known_facts(path, "image") is not None


def _spoil_in_secret(path: Path) -> None:
    """Other content in the same size and time, so that reading it would fail."""
    import os

    status = path.stat()
    path.write_bytes(b"\xff" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
