"""Write a file so that a reader, or a crash, never meets half of it, and read one that is being replaced."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

_IS_SHARING_REFUSED = sys.platform == "win32"  # where a file that another process has open may refuse to be used
_WRITE_PATIENCE_S = 2.0 if _IS_SHARING_REFUSED else 0.0
_READ_PATIENCE_S = 0.1 if _IS_SHARING_REFUSED else 0.0
_PAUSE_S = 0.02

T = TypeVar("T")


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; what is written there takes the place of `path` in one step at the end.

    Folders are made. If the body raises (a full disk, say), `path` stays as it was and the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        yield temporary
        patiently(lambda: temporary.replace(path), patience_s=_WRITE_PATIENCE_S)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write UTF-8 text as it stands, whole or not at all. durable: as for `write_bytes`."""
    write_bytes(path, text.encode("utf-8"), durable=durable)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file, whole or not at all. durable: it is on the disk when this returns, and outlives a power failure."""
    with replaced(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())


_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_WINDOWS_FULL = 112  # ERROR_DISK_FULL
_LITTLE_BYTES = 1 << 20


def is_disk_full(error: BaseException, path: Path | None = None) -> bool:
    """Whether an error of writing means that the disk, or the user's share of it, is full.

    path: what was written, for errors of libraries that do not tell: then so little is free there that it is full.
    """
    if isinstance(error, OSError) and (error.errno in _FULL or getattr(error, "winerror", 0) == _WINDOWS_FULL):
        return True
    if "No space left on device" in str(error):
        return True
    folder = next((parent for parent in path.parents if parent.is_dir()), None) if path else None
    return folder is not None and shutil.disk_usage(folder).free < _LITTLE_BYTES


def read_text(path: Path) -> str:
    """The UTF-8 text of a file that another process may be replacing."""
    return patiently(lambda: path.read_text(encoding="utf-8"), patience_s=_READ_PATIENCE_S)


def patiently(action: Callable[[], T], *, patience_s: float) -> T:
    """What the action returns; on PermissionError it is tried again for that long, then the error is raised."""
    end = time.monotonic() + patience_s
    while True:
        try:
            return action()
        except PermissionError:
            if time.monotonic() >= end:
                raise
        time.sleep(_PAUSE_S)
