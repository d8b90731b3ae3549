"""Following a log file that another process writes."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TextIO


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
