"""Writing of captions, each file whole or not at all, with a record on disk from which every edit can be undone."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.atomic_file import write_text
from backend.dataset.captions import CaptionChange
from backend.dataset.items import read_caption
from backend.dataset.media_files import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS
from backend.errors import DatasetError, Problem

_MOST_EDITS = 100


@dataclass(frozen=True)
class CaptionEdit:
    """One edit that can be undone. what: in the user's words. count: of captions that it changed."""

    what: str
    count: int


class CaptionFiles:
    """Writes captions and undoes it; record: a file outside of the user's folders, which outlives the program."""

    def __init__(self, record: Path) -> None:
        self._record = record

    def write(self, changes: Sequence[CaptionChange], *, what: str) -> int:
        """Write all of these captions as one edit; returns how many were written.

        Nothing is written if a file has changed since the change was made, stands in a list, or is a picture or clip.
        Raises DatasetError naming those. If the disk refuses in the middle, what was written can still be undone.
        """
        problems = [problem for change in changes if (problem := _problem(change)) is not None]
        if problems:
            raise DatasetError.of(problems)
        return self._apply([(_path(change), change.before, change.after) for change in changes], what)

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
        newest = edits[-1]
        captions = [(Path(path), before, after) for path, before, after in newest["captions"]]
        if problems := [_changed(path) for path, _, after in captions if read_caption(path)[0] != after]:
            raise DatasetError.of(problems)
        for path, before, _ in captions:
            _put(path, before)
        self._keep(edits[:-1])
        return CaptionEdit(newest["what"], len(captions))

    def _apply(self, captions: Sequence[tuple[Path, str | None, str]], what: str) -> int:
        done: list[list[str | None]] = []
        try:
            for path, before, after in captions:
                _put(path, after)
                done.append([str(path), before, after])
        finally:
            if done:
                self._keep([*self._edits(), {"what": what, "captions": done}])
        return len(done)

    def _edits(self) -> list[dict[str, Any]]:
        try:
            return json.loads(self._record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []

    def _keep(self, edits: Sequence[dict[str, Any]]) -> None:
        write_text(self._record, json.dumps(edits[-_MOST_EDITS:]))


def _path(change: CaptionChange) -> Path:
    path = change.item.caption_path
    if path is None:
        raise ValueError(f"{change.item.path}: its caption stands in a list")
    return path


def _problem(change: CaptionChange) -> Problem | None:
    path = change.item.caption_path
    if path is None:
        return Problem(f"{change.item.path}: its caption stands in a list", "edit the JSONL file", "dataset_config")
    if path.suffix.lower() in (*IMAGE_EXTENSIONS, *VIDEO_EXTENSIONS):
        return Problem(f"{path}: not written, a picture or clip has this ending", "set caption_extension = '.txt'")
    caption, fault = read_caption(path)
    if fault:
        return Problem(f"{path}: {fault}", "mend or remove it")
    return _changed(path) if caption != change.before else None


def _changed(path: Path) -> Problem:
    return Problem(f"{path}: has been changed since by something else", "look at the captions again")


def _put(path: Path, caption: str | None) -> None:
    try:
        if caption is None:
            path.unlink(missing_ok=True)
        else:
            write_text(Path(os.path.realpath(path)), caption, durable=False)  # a link stays one
    except OSError as error:
        raise DatasetError(f"{path}: cannot be written: {error.strerror}", hint="is the folder read-only?") from error
