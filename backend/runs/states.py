"""The states that a run has saved and another can go on from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.config.toml_file import read_configuration
from backend.errors import UserError
from backend.plan.output_files import existing_outputs
from backend.plan.resume import StateRecord, read_state_record
from backend.runs.folder import RunFolder


@dataclass(frozen=True)
class SavedState:
    """A state folder. step: optimizer steps done; epoch: the one that the step belongs to, counted from 1.

    step and epoch are None where the state does not tell them, as those of musubi-tuner. saved: when, as Unix time.
    """

    path: Path
    step: int | None
    epoch: int | None
    saved: float


def list_states(run: RunFolder) -> list[SavedState]:
    """The whole states of a run's training, the latest step first; [] for a run of another kind."""
    states = []
    for folder in _state_folders(run):
        try:
            record = read_state_record(folder)
        except UserError:  # not whole
            continue
        states.append(SavedState(folder, record.step, _epoch(record), folder.stat().st_mtime))
    return sorted(states, key=lambda state: (-1 if state.step is None else state.step, state.saved), reverse=True)


def last_state(run: RunFolder) -> SavedState | None:
    """The state with the most steps, None if the run has none."""
    return next(iter(list_states(run)), None)


def _state_folders(run: RunFolder) -> list[Path]:
    """Folders of this run's name in its output folder; the files of its status where the two differ."""
    job = run.job()
    if job is None or job.kind != "train":
        return []
    try:
        saving = read_configuration(run.config_file).saving
    except UserError:
        return []
    folder = Path(saving.output_dir or run.checkpoints)
    return [path for path in existing_outputs(folder, saving.output_name) if path.name.endswith("-state")]


def _epoch(record: StateRecord) -> int | None:
    """The epoch of the state's step, from the batches of an epoch that its facts tell."""
    dataset: Mapping[str, Any] = record.facts.get("dataset", {})
    batches, per_step = dataset.get("batches_per_epoch"), record.facts.get("micro_batches_per_step")
    if record.step is None or not batches or not per_step:
        return None
    return max(1, math.ceil(record.step / math.ceil(batches / per_step)))
