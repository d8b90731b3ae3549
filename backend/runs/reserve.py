"""Room on the disk that is kept back, so that a run can tell its end though the disk is full."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from backend.atomic_file import is_disk_full

RESERVED_BYTES = 64 * 1024


class Reserve:
    """A file of zeros in the run's folder; it is given up for a moment where something else cannot be written."""

    NAME = ".reserve"

    def __init__(self, folder: Path) -> None:
        self._path = folder / self.NAME

    def keep(self) -> None:
        """Take the room, as far as there is any."""
        try:
            if self._path.exists():
                return
            with self._path.open("wb") as file:
                file.write(bytes(RESERVED_BYTES))
                file.flush()
                os.fsync(file.fileno())  # some file systems give out the room only now
        except OSError:
            self.give_up()

    def give_up(self) -> None:
        """Give the room back for good."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def write(self, write: Callable[[], None]) -> None:
        """Call `write`, and once more with the room given back if the disk is full. Raises what it raises then."""
        try:
            write()
        except OSError as error:
            if not (is_disk_full(error) and self._path.exists()):
                raise
            self.give_up()
            write()
            self.keep()
