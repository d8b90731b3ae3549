"""Thumbnails: made once, upright, small, and never where the user's files are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from backend.dataset.thumbnails import LONGEST_SIDE, Thumbnails
from backend.errors import DatasetError
from tests.dataset.media import write_clip, write_picture


@pytest.fixture
def thumbnails(tmp_path: Path) -> Thumbnails:
    return Thumbnails(tmp_path / "thumbnails")


def test_a_thumbnail_is_small_upright_and_made_once(thumbnails: Thumbnails, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = write_picture(tmp_path / "media" / "写真 [1].jpg", (800, 400), exif=exif)

    made = thumbnails.make(path, "image")

    with Image.open(made) as image:
        assert image.size == (LONGEST_SIDE // 2, LONGEST_SIDE)
    assert made.is_relative_to(tmp_path / "thumbnails")
    assert made.name.isascii()
    before = made.stat().st_mtime_ns
    assert thumbnails.make(path, "image") == thumbnails.find(path) == made
    assert made.stat().st_mtime_ns == before
    assert sorted(each.name for each in path.parent.iterdir()) == ["写真 [1].jpg", "写真 [1].txt"]


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "CMYK", "I;16"])
def test_every_kind_of_picture_has_one(thumbnails: Thumbnails, tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode if mode != "P" else "L", (300, 300)).convert(mode).save(path)

    with Image.open(thumbnails.make(path, "image")) as image:
        assert image.mode == "RGB"


def test_clips_and_folders_of_pictures_have_one(thumbnails: Thumbnails, tmp_path: Path) -> None:
    write_picture(tmp_path / "frames" / "0.png", (512, 256), caption=None)

    for path in (write_clip(tmp_path / "a.mp4", (640, 320), frames=2), tmp_path / "frames"):
        with Image.open(thumbnails.make(path, "video")) as image:
            assert image.size == (LONGEST_SIDE, LONGEST_SIDE // 2)


def test_a_file_that_has_changed_gets_another(thumbnails: Thumbnails, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png", (64, 64))
    first = thumbnails.make(path, "image")
    write_picture(path, (32, 64))

    assert thumbnails.find(path) is None
    assert thumbnails.make(path, "image") != first


def test_what_cannot_be_read_is_named_alone_and_passed_over_among_others(
    thumbnails: Thumbnails, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "empty.mp4").write_bytes(b"")
    good = write_picture(tmp_path / "b.png", (64, 64))
    told = []

    thumbnails.make_all(
        [
            (tmp_path / "a.png", "image"),
            (good, "image"),
            (tmp_path / "empty.mp4", "video"),
            (tmp_path / "gone", "image"),
        ],
        workers=2,
        progress=lambda done, path: told.append((done, path)),
    )

    assert told == [(1, None), (2, thumbnails.find(good)), (3, None), (4, None)]
    with pytest.raises(DatasetError, match=r"a\.png: not a readable picture"):
        thumbnails.make(tmp_path / "a.png", "image")
    assert thumbnails.find(tmp_path / "gone") is None


def test_the_oldest_are_removed_beyond_a_size(thumbnails: Thumbnails, tmp_path: Path) -> None:
    made = [thumbnails.make(write_picture(tmp_path / f"{i}.png", (64, 64 + i)), "image") for i in range(3)]
    for age, path in enumerate(made):
        os.utime(path, (1000 - age, 1000 - age))

    thumbnails.trim(made[0].stat().st_size + made[1].stat().st_size)

    assert [path.exists() for path in made] == [True, True, False]
