"""The folders of the server that the page may look into, and whether a path lies inside one of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil

from backend.errors import OptionError
from gui.settings import read_settings

_DATA_FOLDERS = ("/mnt", "/media", "/run/media", "/data", "/Volumes")
"""Where Linux and macOS mount drives that people keep their data on."""


def allowed_roots(workspace: Path) -> list[Path]:
    """Real paths of the folders that may be looked into, those that are there.

    The workspace, and those that the settings list; where they list none, the user's home and mounted data drives.
    Where they cannot be read, the workspace alone.
    """
    try:
        listed = [Path(folder) for folder in read_settings(workspace).allowed_roots] or [Path.home(), *_data_drives()]
    except OptionError:
        listed = []
    resolved = (path for folder in (workspace, *listed) if (path := resolved_folder(folder)) is not None)
    return list(dict.fromkeys(resolved))


def is_inside(path: Path, roots: Iterable[Path]) -> bool:
    """Whether a real path is one of the roots or lies below one."""
    return any(path == root or root in path.parents for root in roots)


def resolved_folder(path: Path) -> Path | None:
    """The real path of a folder, links followed; None if there is no such folder."""
    try:
        real = path.resolve(strict=True)
        return real if real.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # missing, a NUL in the name, a loop of links (before Python 3.13)
        return None


def _data_drives() -> list[Path]:
    """Mount points of drives beside the system's own: under _DATA_FOLDERS, or another letter than C."""
    points = [Path(partition.mountpoint) for partition in psutil.disk_partitions()]
    return [point for point in points if _is_data_drive(point)]


def _is_data_drive(point: Path) -> bool:
    if point.drive:
        return point.drive.upper() != "C:"
    return any(point == Path(folder) or Path(folder) in point.parents for folder in _DATA_FOLDERS)
