"""Thumbnails of pictures and clips: made once, kept in a folder of their own, never beside the user's files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image, ImageOps

from backend.atomic_file import replaced
from backend.dataset.media_facts import Kind
from backend.dataset.media_files import IMAGE_EXTENSIONS, PICTURE_FAULTS, files_of, unreadable
from backend.dataset.pixels import as_rgb, read_frames, read_image
from backend.dataset.read_ahead import map_ahead
from backend.errors import DatasetError, UserError

LONGEST_SIDE = 256


class Thumbnails:
    """A folder of small JPEG files; each is named by what it was made from, so none is ever stale."""

    def __init__(self, folder: Path, *, longest_side: int = LONGEST_SIDE) -> None:
        self._folder = folder
        self._side = longest_side

    def path_of(self, media: Path) -> Path:
        """Where the thumbnail of a picture or clip is kept, made or not; another name once the file has changed.

        The name is of hexadecimal digits, whatever the file is called. Raises OSError if the file is gone.
        """
        status = media.stat()
        text = f"{os.path.abspath(media)}\0{status.st_size}\0{status.st_mtime_ns}\0{self._side}"  # noqa: PTH100
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        return self._folder / digest[:2] / f"{digest[2:34]}.jpg"

    def find(self, media: Path) -> Path | None:
        """The thumbnail if it is made already, None if not, or if the file is gone."""
        try:
            path = self.path_of(media)
        except OSError:
            return None
        return path if path.is_file() else None

    def make(self, media: Path, kind: Kind) -> Path:
        """The thumbnail of a picture or of a clip's first frame, made if it is not there; upright, at most the longest
        side. Raises DatasetError if the file cannot be read, UserError if the thumbnail cannot be written."""
        try:
            path = self.path_of(media)
        except OSError as error:
            raise unreadable(media, "picture" if kind == "image" else "clip", error) from error
        if path.is_file():
            return path
        small = self._small(media, kind)
        try:
            with replaced(path) as temporary:
                small.save(temporary, format="JPEG", quality=85)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}", hint="is the disk full?") from error
        return path

    def make_all(
        self,
        media: Iterable[tuple[Path, Kind]],
        *,
        workers: int = 1,
        progress: Callable[[int, Path | None], None] = lambda _done, _path: None,
    ) -> None:
        """Make all that are not there. progress: called after each with the number done and its thumbnail, None where
        the file cannot be read; what it raises ends the work."""
        for done, path in enumerate(map_ahead(self._made, media, workers=workers), start=1):
            progress(done, path)

    def trim(self, most_bytes: int) -> None:
        """Remove the oldest thumbnails beyond so many bytes in all."""
        files = sorted(((path.stat(), path) for path in self._folder.glob("*/*.jpg")), key=lambda one: -one[0].st_mtime)
        total = 0
        for status, path in files:
            total += status.st_size
            if total > most_bytes:
                path.unlink(missing_ok=True)

    def _made(self, media: tuple[Path, Kind]) -> Path | None:
        try:
            return self.make(*media)
        except DatasetError:
            return None

    def _small(self, media: Path, kind: Kind) -> Image.Image:
        size = (self._side, self._side)
        if kind == "image":
            return _small_picture(media, size)
        if media.is_dir():
            pictures = files_of(media, IMAGE_EXTENSIONS)
            if pictures:
                return _small_picture(pictures[0], size)
        frame = next(read_frames(media, stop=1), None)
        if frame is None:
            raise unreadable(media, "clip", ValueError("nothing to see in it"))
        small = Image.fromarray(frame)
        small.thumbnail(size)
        return small


def _small_picture(path: Path, size: tuple[int, int]) -> Image.Image:
    """JPEG is decoded at a fraction of its size at once, which is several times quicker."""
    try:
        with Image.open(path) as image:
            if image.format != "JPEG":
                small = Image.fromarray(read_image(path))
            else:
                image.draft("RGB", (2 * size[0], 2 * size[1]))
                small = as_rgb(ImageOps.exif_transpose(image)).convert("RGB")
            small.thumbnail(size)
            return small
    except PICTURE_FAULTS as error:
        raise unreadable(path, "picture", error) from error
