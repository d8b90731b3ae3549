"""A log file that another process writes: following it, and its last lines."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import TextIO

TAIL_BYTES = 64 * 1024
TAIL_LINES = 200

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def read_tail(path: Path, *, limit: int = TAIL_BYTES) -> list[str]:
    """The last lines of a log, [] if there is none: without colours, and of a line that was overwritten the last text.

    At most TAIL_LINES of the last `limit` bytes; a line that is cut by it is left out.
    """
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, 2) - limit)
            file.seek(start)
            data = file.read()
    except OSError:
        return []
    if start:
        data = data.partition(b"\n")[2]
    lines = data.decode("utf-8", errors="replace").split("\n")[-TAIL_LINES - 1 :]
    shown = [_COLOURS.sub("", line.rstrip("\r").rpartition("\r")[2]).rstrip() for line in lines]
    return [line for line in shown if line]


class LogFollower:
    """Copies what is new in a log file to a stream."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path, self._stream = path, stream
        self._position = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def copy(self) -> None:
        """Copy what was added since the last call. A character that is half written waits for the next."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._position)
                data = file.read()
        except FileNotFoundError:
            return
        self._position += len(data)
        if data:
            self._stream.write(self._decoder.decode(data))
            self._stream.flush()
