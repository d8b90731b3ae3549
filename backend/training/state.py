"""States: everything that a training needs to go on as if it had never stopped.

The folder is laid out as accelerate (and so musubi-tuner) does, with trainer_state.json on top: the step and what the
training was. Random numbers need no saving: those of a micro-batch follow from the run's seed and its number.
"""

from __future__ import annotations

import pickle
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from backend.atomic_file import is_disk_full
from backend.errors import ModelFileError, Problem, UserError
from backend.plan.resume import NETWORK_FILE, OPTIMIZER_FILE, SCHEDULER_FILE, STATE_FILE, StateRecord

RANDOM_FILE, SCALER_FILE = "random_states_0.pkl", "scaler.pt"


@dataclass(frozen=True)
class Resumable:
    """The objects whose insides make up a state. scaler: the loss scaler of fp16, else None."""

    optimizer: Optimizer
    scheduler: LRScheduler
    scaler: torch.amp.GradScaler | None = None


def save_state(folder: Path, tensors: Mapping[str, Tensor], parts: Resumable, *, record: StateRecord) -> None:
    """Write a state folder; it appears under its name only when it is complete, and replaces an older one.

    tensors: the network's state dict. Raises UserError if it cannot be written.
    """
    temporary = folder.with_name(f".{folder.name}.writing")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _write_parts(temporary, tensors, parts)
        (temporary / STATE_FILE).write_text(record.text(), encoding="utf-8", newline="\n")
        _put_in_place(temporary, folder)
    except (OSError, RuntimeError, SafetensorError) as error:  # torch's writer raises RuntimeError on a full disk
        cause = "disk_full" if is_disk_full(error, folder) else ""
        shutil.rmtree(temporary, ignore_errors=True)
        hint = "check the free space and the folder"
        raise UserError(f"{folder}: cannot be written: {error}", hint=hint, cause=cause) from error


def remove_state(folder: Path) -> None:
    """Delete a state folder; it leaves its name first, so that a kill in between leaves no half of it there."""
    going = folder.with_name(f".{folder.name}.removed")
    try:
        folder.rename(going)
    except FileNotFoundError:
        return
    shutil.rmtree(going, ignore_errors=True)


def load_network_tensors(folder: Path) -> dict[str, Tensor]:
    """The network's state dict in a state folder."""
    return load_file(folder / NETWORK_FILE)


def load_state(folder: Path, parts: Resumable) -> None:
    """Give optimizer, scheduler and scaler the insides of a state; the network's are loaded by the network.

    Raises ModelFileError if a file is damaged or belongs to another optimizer or schedule.
    """
    owners: dict[str, Any] = {OPTIMIZER_FILE: parts.optimizer, SCHEDULER_FILE: parts.scheduler}
    if parts.scaler is not None and (folder / SCALER_FILE).exists():
        owners[SCALER_FILE] = parts.scaler
    for name, owner in owners.items():
        try:
            owner.load_state_dict(_read(folder / name))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problem = Problem(f"{folder / name}: does not fit {type(owner).__name__}: {error}", "", "resume")
            raise ModelFileError.of([problem]) from error


def scheduled_steps(folder: Path) -> int:
    """The steps that the schedule of a state has made; tells how far a training of musubi-tuner was."""
    return int(_read(folder / SCHEDULER_FILE).get("last_epoch", 0))


def _write_parts(folder: Path, tensors: Mapping[str, Tensor], parts: Resumable) -> None:
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, folder / NETWORK_FILE, metadata={"format": "pt"})
    torch.save(parts.optimizer.state_dict(), folder / OPTIMIZER_FILE)
    torch.save(parts.scheduler.state_dict(), folder / SCHEDULER_FILE)
    if parts.scaler is not None:
        torch.save(parts.scaler.state_dict(), folder / SCALER_FILE)
    # read by accelerate's load_state in musubi-tuner; not by this program
    states = {
        "step": 0,
        "random_state": random.getstate(),
        "numpy_random_seed": np.random.get_state(),
        "torch_manual_seed": torch.get_rng_state(),
    }
    (folder / RANDOM_FILE).write_bytes(pickle.dumps(states))


def _put_in_place(temporary: Path, folder: Path) -> None:
    """A folder that is not empty cannot be replaced at once: the old one steps aside first."""
    aside = folder.with_name(f".{folder.name}.replaced")
    shutil.rmtree(aside, ignore_errors=True)
    if folder.exists():
        folder.rename(aside)
    temporary.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        problem = Problem(f"{path}: cannot be read: {error}".splitlines()[0], "choose an earlier state", "resume")
        raise ModelFileError.of([problem], cause="damaged_file") from error
