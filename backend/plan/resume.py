"""What a state folder tells of the training that it was saved from, read without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.atomic_file import read_text
from backend.errors import ModelFileError, OptionError, Problem

STATE_FILE = "trainer_state.json"
NETWORK_FILE, OPTIMIZER_FILE, SCHEDULER_FILE = "model.safetensors", "optimizer.bin", "scheduler.bin"

MAY_CHANGE = ("learning_rate", "loraplus_lr_ratio", "schedule", "timesteps", "max_grad_norm")
"""Facts that may differ when a training goes on; the new value holds from there on."""


@dataclass(frozen=True)
class StateRecord:
    """Where a training stood. step: optimizer steps done; None in a state of musubi-tuner, which does not tell it.

    losses: those of the last steps, as many as an epoch has. facts: what the training was, by name, in JSON's types;
    two trainings with the same facts compute the same steps.
    """

    step: int | None
    losses: Sequence[float] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """The record as the JSON of its file."""
        content = {"step": self.step, "losses": list(self.losses), "facts": dict(self.facts)}
        return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def read_state_record(folder: Path) -> StateRecord:
    """The record in a state folder. Raises ModelFileError if the folder is none, or not whole."""
    for name in (NETWORK_FILE, OPTIMIZER_FILE, SCHEDULER_FILE):
        if not (folder / name).is_file():
            raise ModelFileError.of(
                [Problem(f"{folder}: not a state to resume from, {name} is missing", _STATES_ARE, "resume")],
                cause="missing_file",
            )
    try:
        content = json.loads(read_text(folder / STATE_FILE))
        return StateRecord(int(content["step"]), tuple(map(float, content["losses"])), dict(content["facts"]))
    except FileNotFoundError:
        return StateRecord(step=None)
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = Problem(f"{folder / STATE_FILE}: damaged ({error!r})", "choose an earlier state", "resume")
        raise ModelFileError.of([problem], cause="damaged_file") from error


def check_facts(saved: Mapping[str, Any], now: Mapping[str, Any], *, folder: Path) -> list[str]:
    """What has changed since the state was saved and may, in words. Raises OptionError naming all that may not."""
    now = json.loads(json.dumps(now))  # tuples as lists, as in the file
    changed = [name for name in now if name in saved and saved[name] != now[name]]
    misfits = [
        Problem(
            f"{folder}: saved with {name} {_words(saved[name])}, but now it is {_words(now[name])}",
            hint="resume with the settings of the state, or start a new training from its LoRA with network_weights",
            option="resume",
        )
        for name in changed
        if name not in MAY_CHANGE
    ]
    if misfits:
        raise OptionError.of(misfits)
    return [f"{name} was {_words(saved[name])}, goes on with {_words(now[name])}" for name in changed]


_STATES_ARE = "choose a folder NAME-state that save_state has written"


def _words(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
