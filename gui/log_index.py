"""The lines of a log of any length: a page of them from any place, and a search through all, without holding it."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

CHUNK_BYTES = 1 << 20
LINES_PER_MARK = 1000
"""The place of every so many-th line is kept: 8 KB for a log of a million lines."""

LONGEST_LINE = 64 * 1024
"""Of a longer line only its end is shown: a progress bar that draws itself anew with `\\r` all day is one of 80 MB."""

ESCAPES = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")


@dataclass(frozen=True)
class Found:
    """What a search found. total: lines in which the text stands. matches: number and text of the first of them."""

    total: int
    matches: list[tuple[int, str]]


@dataclass
class LogIndex:
    """Knows where every thousandth line of a file begins. Lines are numbered from 0; the file may grow, and be read by
    several threads."""

    path: Path
    _marks: list[int] = field(default_factory=lambda: [0])
    _size: int = 0
    _breaks: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self) -> int:
        """How many lines there are now, the last one, which may be half-written, included. Raises OSError."""
        with self._lock, self.path.open("rb") as file:
            self._read_on(file)
            return self._breaks + (1 if self._ends_inside_a_line(file) else 0)

    def page(self, first: int, count: int) -> list[str]:
        """The lines from `first` on, at most so many, as a terminal shows them, colours as escapes. Raises OSError."""
        total = self.count()
        with self.path.open("rb") as file:
            self._go_to(file, min(first, total))
            lines = (as_shown(line) for line in _lines(file))
            return [line for line, _ in zip(lines, range(max(0, min(count, total - first))), strict=False)]

    def search(self, text: str, *, limit: int) -> Found:
        """The lines that have the text, in whatever case. Raises OSError."""
        wanted, total = text.lower(), 0
        matches: list[tuple[int, str]] = []
        with self.path.open("rb") as file:
            for number, lines in _chunks_of_lines(file):
                if wanted not in lines.lower() and "\x1b" not in lines:  # most chunks of a long log
                    continue
                for index, line in enumerate(lines.split("\n")):
                    if wanted not in line.lower() and "\x1b" not in line:
                        continue
                    shown = as_shown(line)
                    if wanted in ESCAPES.sub("", shown).lower():
                        total += 1
                        if len(matches) < limit:
                            matches.append((number + index, shown))
        return Found(total, matches)

    def _read_on(self, file: BinaryIO) -> None:
        """Look for line breaks in what was added since the last time; from the start if the file was written anew."""
        size = file.seek(0, io.SEEK_END)
        if size < self._size:
            self._marks, self._size, self._breaks = [0], 0, 0
        file.seek(self._size)
        while chunk := file.read(min(CHUNK_BYTES, size - self._size)):
            self._mark(chunk)
            self._size += len(chunk)

    def _mark(self, chunk: bytes) -> None:
        breaks = chunk.count(b"\n")
        at = -1
        passed = 0
        while self._breaks + breaks >= len(self._marks) * LINES_PER_MARK:
            wanted = len(self._marks) * LINES_PER_MARK - self._breaks
            while passed < wanted:
                at = chunk.index(b"\n", at + 1)
                passed += 1
            self._marks.append(self._size + at + 1)
        self._breaks += breaks

    def _ends_inside_a_line(self, file: BinaryIO) -> bool:
        if not self._size:
            return False
        file.seek(self._size - 1)
        return file.read(1) != b"\n"

    def _go_to(self, file: BinaryIO, line: int) -> None:
        mark = min(line // LINES_PER_MARK, len(self._marks) - 1)
        file.seek(self._marks[mark])
        for _ in range(line - mark * LINES_PER_MARK):
            _skip_line(file)


def as_shown(line: str) -> str:
    """What a terminal shows of a line that was begun anew with `\\r`: what stands after the last one, if anything."""
    parts = [part for part in line.split("\r") if part]
    return parts[-1] if parts else ""


def _lines(file: BinaryIO) -> Iterator[str]:
    """Line after line from where the file stands; of long ones the end."""
    while piece := file.readline(LONGEST_LINE):
        line = piece
        while not piece.endswith(b"\n") and (piece := file.readline(LONGEST_LINE)):
            line = (line + piece)[-LONGEST_LINE:]
        yield line.rstrip(b"\n").decode(errors="replace")


def _skip_line(file: BinaryIO) -> None:
    while (piece := file.readline(LONGEST_LINE)) and not piece.endswith(b"\n"):
        pass


def _chunks_of_lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Whole lines, some megabyte at a time, each with the number of the first; of long lines the end."""
    number, rest = 0, b""
    while chunk := file.read(CHUNK_BYTES):
        end = chunk.rfind(b"\n")
        if end < 0:
            rest = (rest + chunk)[-LONGEST_LINE:]
            continue
        lines = rest + chunk[:end]
        yield number, lines.decode(errors="replace")
        number += lines.count(b"\n") + 1
        rest = chunk[end + 1 :]
    if rest:
        yield number, rest.decode(errors="replace")
