"""Thumbnails in the background: all are made, what is asked for first, and nothing that is broken ends it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from backend.dataset.thumbnail_maker import ThumbnailMaker
from backend.dataset.thumbnails import Thumbnails
from tests.dataset.media import write_clip, write_picture


@pytest.fixture
def thumbnails(tmp_path: Path) -> Thumbnails:
    return Thumbnails(tmp_path / "thumbnails")


def made(thumbnails: Thumbnails, paths: list[Path]) -> list[str]:
    return [path.name for path in paths if thumbnails.find(path) is not None]


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "thumbnails"]


def test_all_that_are_wanted_are_made_but_for_those_that_are_broken_and_the_thread_ends(
    thumbnails: Thumbnails, tmp_path: Path
) -> None:
    pictures = [write_picture(tmp_path / f"{index}.jpg", (300, 200 + index)) for index in range(5)]
    clip = write_clip(tmp_path / "clip.mp4", (320, 160), frames=2)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(pictures[0].read_bytes()[:700])
    (tmp_path / "text.mp4").write_text("no clip")
    wanted = [(broken, "image"), (tmp_path / "text.mp4", "video"), (tmp_path / "gone.png", "image")]
    maker = ThumbnailMaker(thumbnails)

    maker.want([*wanted, *((path, "image") for path in pictures), (clip, "video")])
    maker.wait()

    assert made(thumbnails, [broken, *pictures, clip]) == [*(path.name for path in pictures), "clip.mp4"]
    assert threads() == []


def test_what_is_there_is_not_made_again_and_a_changed_file_is(thumbnails: Thumbnails, tmp_path: Path) -> None:
    paths = [write_picture(tmp_path / f"{index}.jpg", (300, 200 + index)) for index in range(3)]
    maker = ThumbnailMaker(thumbnails)
    maker.want([(path, "image") for path in paths])
    maker.wait()
    before = {path: thumbnails.find(path).stat().st_mtime_ns for path in paths}
    write_picture(paths[1], (100, 300))

    maker.want([(path, "image") for path in paths])
    maker.wait()

    now = {path: thumbnails.find(path).stat().st_mtime_ns for path in paths}
    assert [now[path] == before[path] for path in paths] == [True, False, True]


class Watched(Thumbnails):
    """Tells when a thumbnail is begun, and waits for leave to go on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun: list[str] = []
        self.has_begun, self.may_go_on = threading.Semaphore(0), threading.Semaphore(0)

    def make(self, media: Path, kind) -> Path:
        self.begun.append(media.name)
        self.has_begun.release()
        self.may_go_on.acquire()
        return super().make(media, kind)


def test_what_somebody_waits_for_comes_before_all_that_is_merely_wanted(tmp_path: Path) -> None:
    thumbnails = Watched(tmp_path / "thumbnails")
    paths = [write_picture(tmp_path / f"{index}.jpg", (30, 20 + index)) for index in range(4)]
    maker = ThumbnailMaker(thumbnails)
    maker.want([(path, "image") for path in paths])
    thumbnails.has_begun.acquire()
    asking = threading.Thread(target=maker.make, args=(paths[3], "image"))
    asking.start()
    thumbnails.has_begun.acquire()  # at once, although the first is not done
    thumbnails.may_go_on.release(10)
    asking.join()
    maker.wait()

    assert thumbnails.begun == ["0.jpg", "3.jpg", "1.jpg", "2.jpg"]
    assert made(thumbnails, paths) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


def test_closing_ends_it_after_the_one_that_is_being_made(tmp_path: Path) -> None:
    thumbnails = Watched(tmp_path / "thumbnails")
    paths = [write_picture(tmp_path / f"{index}.jpg", (30, 20 + index)) for index in range(4)]
    maker = ThumbnailMaker(thumbnails)
    maker.want([(path, "image") for path in paths])
    thumbnails.has_begun.acquire()
    closing = threading.Thread(target=maker.close)
    closing.start()
    thumbnails.may_go_on.release()
    closing.join()
    maker.want([(path, "image") for path in paths])

    assert thumbnails.begun == ["0.jpg"]
    assert threads() == []


def test_the_oldest_make_room_for_those_that_are_made(thumbnails: Thumbnails, tmp_path: Path) -> None:
    paths = [write_picture(tmp_path / f"{index}.jpg", (300, 200 + index)) for index in range(4)]
    maker = ThumbnailMaker(thumbnails, most_bytes=1)

    maker.want([(path, "image") for path in paths])
    maker.wait()

    assert made(thumbnails, paths) == []
