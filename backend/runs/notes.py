"""A person's notes on a run."""

from __future__ import annotations

from backend.atomic_file import read_text, write_text
from backend.runs.folder import RunFolder


def read_notes(run: RunFolder) -> str:
    """The notes, "" if there are none."""
    try:
        return read_text(run.notes_file)
    except (OSError, UnicodeDecodeError):
        return ""


def write_notes(run: RunFolder, text: str) -> None:
    """Keep these notes in place of those before; none if the text is blank."""
    if text.strip():
        write_text(run.notes_file, text)
    else:
        run.notes_file.unlink(missing_ok=True)
