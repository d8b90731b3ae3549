"""Write a file so that a reader, or a crash, never meets half of it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_PATIENCE_S = 2.0
_PAUSE_S = 0.02


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; what is written there takes the place of `path` in one step at the end.

    Folders are made. If the body raises (a full disk, say), `path` stays as it was and the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        yield temporary
        _move(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as it stands, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all; it is on the disk when this returns."""
    with replaced(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _move(temporary: Path, path: Path) -> None:
    """Put a file in the place of another; tried again where a reader that has it open prevents it, as on Windows."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            temporary.replace(path)
            return
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > end:
                raise
        time.sleep(_PAUSE_S)
