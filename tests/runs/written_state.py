"""A state folder as far as the listing of states reads it, written by a test."""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from pathlib import Path

from backend.plan.resume import NETWORK_FILE, OPTIMIZER_FILE, SCHEDULER_FILE, STATE_FILE, StateRecord

EMPTY_SAFETENSORS = (2).to_bytes(8, "little") + b"{}"


def write_state(folder: Path, record: StateRecord | None, *, without: Collection[str] = ()) -> Path:
    """Write a state with whole files that hold nothing; without: names of files that it lacks. Returns the folder."""
    folder.mkdir(parents=True)
    if NETWORK_FILE not in without:
        (folder / NETWORK_FILE).write_bytes(EMPTY_SAFETENSORS)
    for name in {OPTIMIZER_FILE, SCHEDULER_FILE} - set(without):
        with zipfile.ZipFile(folder / name, "w") as archive:  # what torch.save writes
            archive.writestr("data.pkl", "")
    if record is not None:
        (folder / STATE_FILE).write_text(record.text())
    return folder
