"""Which files of a folder are pictures and clips, and how many frames a clip has, without decoding it."""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import av
from PIL import Image

from backend.errors import DatasetError

_PLUGINS = {".jxl": ("pillow_jxl", "pillow-jxl-plugin"), ".avif": ("pillow_avif", "pillow-avif-plugin")}
"""By the ending of pictures: the module that lets Pillow read them where it cannot by itself, and its package."""

for _module, _ in _PLUGINS.values():
    if find_spec(_module) is not None:
        import_module(_module)

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", *_PLUGINS)
VIDEO_EXTENSIONS = (".mp4", ".webm", ".avi", ".mkv", ".mov", ".flv", ".wmv", ".m4v", ".mpg", ".mpeg")

OTHER_MEDIA = (".gif", ".tif", ".tiff", ".heic", ".heif", ".jp2", ".svg", ".psd", ".dng", ".ts", ".3gp")
"""Endings of pictures and clips that are not trained on, neither here nor in musubi-tuner."""

PICTURE_FAULTS = (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError)
"""What Pillow and its plugins raise for a file that is no picture, or a damaged one."""

EXIF_ORIENTATION = 0x0112
SIDEWAYS_ORIENTATIONS = (5, 6, 7, 8)


def files_of(folder: Path, extensions: Collection[str]) -> list[Path]:
    """The files of a folder with one of these endings in any spelling, sorted by name; hidden ones left out.

    Also those that cannot be read, so that somebody hears of them.

    Raises DatasetError if there is no such folder.
    """
    if not is_folder(folder):
        raise DatasetError(f"{folder}: no such folder", option="dataset_config")
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and _ending(entry.name) in extensions and _is_file(entry)
            )
    except OSError as error:
        reason = error.strerror
        raise DatasetError(f"{folder}: cannot be looked into: {reason}", option="dataset_config") from error
    return [folder / name for name in names]


def count_frames(path: Path, *, limit: int | None = None) -> int:
    """How many frames a clip, or a folder of pictures, has; counting ends at the limit.

    Raises DatasetError if it is no clip.
    """
    if is_folder(path):
        return len(files_of(path, IMAGE_EXTENSIONS)[:limit])
    stat = path.stat()
    return _count_packets(path, stat.st_mtime_ns, stat.st_size, limit)


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; a path that the system does not take is none, and no error."""
    return os.path.isdir(path)  # noqa: PTH112


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Also of a link that leads to nothing: somebody meant a file there, which then cannot be read."""
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry))  # noqa: PTH110
    except OSError:  # a link that leads to itself
        return True


def _ending(name: str) -> str:
    _, dot, ending = name.rpartition(".")  # a tenth of the time of Path.suffix
    return dot + ending.lower() if dot else ""


def quarter_turns(frame: av.VideoFrame) -> int:
    """How often the frame is to be turned by 90 degrees against the clock to stand upright: 0 to 3."""
    return round(frame.rotation / 90) % 4


def missing_plugin(path: Path) -> str:
    """The package that Pillow lacks to read pictures with this ending; "" if it reads them, or no plugin would help."""
    ending = _ending(path.name)
    if ending not in _PLUGINS or ending in Image.registered_extensions():
        return ""
    return _PLUGINS[ending][1]


def unreadable(path: Path, what: str, error: BaseException) -> DatasetError:
    """The error of a file that cannot be read as a picture or a clip."""
    if package := missing_plugin(path):
        message = f"{path}: Pillow needs {package} to read {_ending(path.name)} files"
        return DatasetError(message, hint=f"pip install {package}", option="dataset_config")
    if isinstance(error, IndexError):  # of the list of its streams of pictures
        error = ValueError("there is only sound in it")
    reason = getattr(error, "strerror", None) or str(error) or "nothing to see in it"
    return DatasetError(
        f"{path}: not a readable {what}: {reason}", hint="replace or remove it", option="dataset_config"
    )


@lru_cache(maxsize=10_000)
def _count_packets(path: Path, _changed_ns: int, file_size: int, limit: int | None) -> int:
    """Frames that decoding gives: packets, less those that an edit list hides.

    The count in the container is not used: a clip cut without encoding anew (`ffmpeg -ss -c copy`) keeps the frames
    before the cut, marked as discarded, and still counts them. Many containers have no count at all.
    """
    frames = 0
    try:
        with av.open(path) as container:
            if container.format.name.startswith("mov") and (listed := _listed_packets(container, file_size)):
                return listed if limit is None else min(listed, limit)
            for packet in container.demux(video=0):
                frames += packet.size > 0 and not packet.is_discard
                if frames == limit:
                    break
    except (av.FFmpegError, IndexError) as error:
        raise unreadable(path, "clip", error) from error
    return frames


def _listed_packets(container: av.container.InputContainer, file_size: int) -> int:
    """How many packets the table of an MP4 lists that are shown and lie within the file; 0 if it does not list all, as
    in a fragmented one. No packet is read."""
    stream = container.streams.video[0]
    entries = stream.index_entries
    if not 0 < stream.frames == len(entries):
        return 0
    return sum(not entry.is_discard and 0 < entry.size <= file_size - entry.pos for entry in entries)
