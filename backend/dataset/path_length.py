"""Length of paths, against what the system takes."""

from __future__ import annotations

import os
import sys
from functools import cache, lru_cache
from pathlib import Path, PurePath, PureWindowsPath

WINDOWS_LONGEST = 259  # 260 with the zero at the end, unless long paths are switched on
WINDOWS_LONGEST_EXTENDED = 32_766
TEMPORARY = 20  # a file is written beside its place first, under a name that may be so much longer


def length_of(path: PurePath) -> int:
    """Its length as the system counts it: units of 16 bits for a Windows path, bytes for others."""
    if isinstance(path, PureWindowsPath):
        return len(str(path).encode("utf-16-le", "surrogatepass")) // 2
    return len(os.fsencode(path))


def room_in(folder: PurePath, *, longest: int) -> int:
    """How long the name of a file can be that is written into a folder, which is absolute."""
    return longest - length_of(folder) - 1 - TEMPORARY


def excess_of(folder: Path, name: str) -> int:
    """By how much the path of a file of this machine is too long to be written; 0 if it is not."""
    room = _room_here(folder)
    if 4 * len(name) <= room:  # a character is 4 bytes at most
        return 0
    return max(0, length_of(PurePath(name)) - room)


@lru_cache(maxsize=100)  # thousands of files lie in few folders
def _room_here(folder: Path) -> int:
    return room_in(folder.absolute(), longest=_longest_path())


@cache
def _longest_path() -> int:
    if sys.platform != "win32":
        return os.pathconf("/", "PC_PATH_MAX") - 1
    return WINDOWS_LONGEST_EXTENDED if _has_long_paths() else WINDOWS_LONGEST


def _has_long_paths() -> bool:
    """Whether Windows lets this program use paths of more than 260 characters."""
    import ctypes

    library = getattr(ctypes, "WinDLL")("ntdll")  # noqa: B009 - exists on Windows only
    is_enabled = getattr(library, "RtlAreLongPathsEnabled", None)  # from Windows 10 of 2016 on
    return is_enabled is not None and bool(is_enabled() & 1)
