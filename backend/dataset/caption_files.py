"""Writing of captions, each file whole or not at all, with a record on disk from which every edit can be undone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from backend.atomic_file import write_text
from backend.dataset.captions import CaptionChange
from backend.dataset.items import caption_in_list, list_with_caption, read_caption
from backend.dataset.media_files import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS
from backend.errors import DatasetError, Problem

_MOST_EDITS = 100


@dataclass(frozen=True)
class CaptionEdit:
    """One edit that can be undone. what: in the user's words. count: of captions that it changed."""

    what: str
    count: int


@dataclass(frozen=True)
class _Change:
    """A caption in a file of its own, or on a line of a list, counted from 1. None: there is no file."""

    path: str
    line: int | None
    before: str | None
    after: str | None

    def turned_back(self) -> _Change:
        return _Change(self.path, self.line, self.after, self.before)


class CaptionFiles:
    """Writes captions and undoes it; record: a file outside of the user's folders, which outlives the program."""

    def __init__(self, record: Path) -> None:
        self._record = record

    def write(self, changes: Iterable[CaptionChange], *, what: str) -> int:
        """Write all of these captions as one edit; returns how many were written.

        Nothing is written if a file has changed since the change was made, or is a picture or clip. Raises DatasetError
        naming those. If the disk refuses in the middle, what was written can still be undone.
        """
        wanted = [
            _Change(str(each.item.caption_path), each.item.list_line, each.before, each.after) for each in changes
        ]
        _check(wanted)
        done: list[_Change] = []
        try:
            for each in _written(wanted):
                done += each
        finally:
            if done:
                self._keep([*self._edits(), {"what": what, "captions": [astuple(each) for each in done]}])
        return len(done)

    def edits(self) -> list[CaptionEdit]:
        """What can be undone, the newest last."""
        return [CaptionEdit(edit["what"], len(edit["captions"])) for edit in self._edits()]

    def undo(self) -> CaptionEdit | None:
        """Bring back what was before the newest edit; None if there is none.

        A caption file that was not there is removed again. Raises DatasetError naming the files that were changed
        since then; nothing is written, and the edit stays.
        """
        edits = self._edits()
        if not edits:
            return None
        changes = [_Change(*values).turned_back() for values in edits[-1]["captions"]]
        _check(changes)
        for _ in _written(changes):
            pass
        self._keep(edits[:-1])
        return CaptionEdit(edits[-1]["what"], len(changes))

    def _edits(self) -> list[dict[str, Any]]:
        try:
            return json.loads(self._record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []

    def _keep(self, edits: Sequence[dict[str, Any]]) -> None:
        write_text(self._record, json.dumps(edits[-_MOST_EDITS:]))


def _check(changes: Iterable[_Change]) -> None:
    """Raises DatasetError for all files that must not be written."""
    problems = []
    for path, own in groupby(changes, key=lambda change: change.path):
        problems += _problems(Path(path), list(own))
    if problems:
        raise DatasetError.of(problems)


def _problems(path: Path, changes: Sequence[_Change]) -> list[Problem]:
    if path.suffix.lower() in (*IMAGE_EXTENSIONS, *VIDEO_EXTENSIONS):
        return [Problem(f"{path}: not written, a picture or clip has this ending", "set caption_extension = '.txt'")]
    text, fault = read_caption(path)
    if fault:
        return [Problem(f"{path}: {fault}", "mend or remove it")]
    for change in changes:
        caption = text if change.line is None else caption_in_list(_text_of_list(path), change.line)
        if caption != change.before:
            return [Problem(f"{path}: has been changed since by something else", "look at the captions again")]
    return []


def _written(changes: Iterable[_Change]) -> Iterable[list[_Change]]:
    """Write one file after another; gives the changes in each once it is written. All of a list are one file."""
    for path, group in groupby(changes, key=lambda change: change.path):
        own = list(group)
        _put(Path(path), _new_text(Path(path), own))
        yield own


def _new_text(path: Path, changes: Sequence[_Change]) -> str | None:
    if changes[0].line is None:
        return changes[-1].after
    text = _text_of_list(path)
    for change in changes:
        text = list_with_caption(text, change.line or 0, change.after or "")
    return text


def _text_of_list(path: Path) -> str:
    with path.open(encoding="utf-8-sig", newline="") as file:  # line ends stay as they are
        return file.read()


def _put(path: Path, text: str | None) -> None:
    try:
        if text is None:
            path.unlink(missing_ok=True)
        else:
            write_text(Path(os.path.realpath(path)), text, durable=False)  # a link stays one
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written: {error.strerror}", hint="is the folder read-only?") from error
