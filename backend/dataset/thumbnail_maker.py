"""Thumbnails made in the background: one at a time, after those that somebody waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.dataset.media_facts import Kind
from backend.dataset.thumbnails import Thumbnails
from backend.errors import DatasetError, UserError

MOST_BYTES = 2**30  # of thumbnails in all: about 100,000
_LONGEST_PAUSE_S = 0.5


class ThumbnailMaker:
    """Makes what is asked for at once, and what is merely wanted when nobody asks. The thread of the latter ends with
    its work; it rests for as long as each thumbnail took, so that others have the processor half of the time."""

    def __init__(self, thumbnails: Thumbnails, *, most_bytes: int = MOST_BYTES) -> None:
        self._thumbnails = thumbnails
        self._most_bytes = most_bytes
        self._wanted: dict[Path, Kind] = {}
        self._tried: set[Path] = set()
        self._asked = 0
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._changed = threading.Condition()

    def make(self, media: Path, kind: Kind) -> Path:
        """As `Thumbnails.make`; meanwhile no other is begun in the background."""
        with self._asking():
            return self._thumbnails.make(media, kind)

    def want(self, media: Iterable[tuple[Path, Kind]]) -> None:
        """Have these made in their order, before others that are wanted."""
        with self._changed:
            self._wanted = {} if self._is_closed else {**dict(media), **self._wanted}
            self._start()

    def wait(self) -> None:
        """Return when nothing is wanted any more."""
        while (thread := self._running()) is not None:
            thread.join()

    def close(self) -> None:
        """End with the thumbnail that is being made; nothing is made in the background from then on."""
        with self._changed:
            self._is_closed = True
            self._wanted = {}
            self._changed.notify_all()
        self.wait()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with self._changed:
            self._asked += 1
        try:
            yield
        finally:
            with self._changed:
                self._asked -= 1
                self._changed.notify_all()

    def _running(self) -> threading.Thread | None:
        with self._changed:
            return self._thread

    def _start(self) -> None:
        """Start the thread if there is none and there is work; the lock is held."""
        if self._wanted and self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True, name="thumbnails")
            self._thread.start()

    def _run(self) -> None:
        try:
            while self._make_all_wanted():
                self._thumbnails.trim(self._most_bytes)
        finally:
            with self._changed:
                self._thread = None
                self._start()  # for what came to be wanted in the last moment

    def _make_all_wanted(self) -> bool:
        """Make them until nothing is wanted; whether any was made."""
        has_made = False
        while (wanted := self._next()) is not None:
            has_made = self._make_wanted(*wanted) or has_made
        return has_made

    def _next(self) -> tuple[Path, Kind] | None:
        """What is to be made next, when nobody waits for another; None if there is nothing."""
        with self._changed:
            self._changed.wait_for(lambda: not self._asked or not self._wanted)
            if not self._wanted:
                return None
            path = next(iter(self._wanted))
            return path, self._wanted.pop(path)

    def _make_wanted(self, media: Path, kind: Kind) -> bool:
        """Make one if it is not there, and rest; whether it was made."""
        began = time.monotonic()
        try:
            path = self._thumbnails.path_of(media)
            if path in self._tried or path.is_file():
                return False
            self._tried.add(path)
            self._thumbnails.make(media, kind)
        except (OSError, DatasetError):  # gone, or not to be read: the list tells it, and shows no picture of it
            return False
        except UserError:  # the disk is full, which the thumbnails that are asked for tell
            with self._changed:
                self._wanted = {}
            return False
        self._rest(time.monotonic() - began)
        return True

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed, timeout=min(seconds, _LONGEST_PAUSE_S))
