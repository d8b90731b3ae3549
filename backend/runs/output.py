"""Output of a process into its log, which goes on though the disk is full."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from backend.atomic_file import is_disk_full


class TolerantStream:
    """A text stream that leaves out what does not fit on the disk any more, and says so once there is room again."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0

    def write(self, text: str) -> int:
        """Write the text as far as there is room; returns its length."""
        try:
            if self._lost:
                self._stream.write(f"\n[{self._lost} characters are missing here: the disk was full]\n")
                self._lost = 0
            self._stream.write(text)
        except OSError as error:
            if not is_disk_full(error):
                raise
            self._lost += len(text)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            if not is_disk_full(error):
                raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def outlive_full_disk() -> None:
    """Let what this process prints never end it because the log cannot grow."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, TolerantStream):
            setattr(sys, name, TolerantStream(stream))
