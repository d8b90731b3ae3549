"""Names of the files that a training saves, musubi-tuner's, and whether they are there already, or cannot be."""

from __future__ import annotations

import os
import re
from pathlib import Path

from backend.errors import OptionError


def step_file(name: str, step: int) -> str:
    """The checkpoint after a step: NAME-step00000100.safetensors."""
    return f"{name}-step{step:08d}.safetensors"


def epoch_file(name: str, epoch: int) -> str:
    """The checkpoint at the end of an epoch, counted from 1: NAME-000001.safetensors."""
    return f"{name}-{epoch:06d}.safetensors"


def final_file(name: str) -> str:
    """The trained LoRA: NAME.safetensors."""
    return f"{name}.safetensors"


def state_folder(file_name: str) -> str:
    """The folder of the state that belongs to a checkpoint: NAME-step00000100-state."""
    return f"{file_name.removesuffix('.safetensors')}-state"


def existing_outputs(folder: Path, name: str) -> list[Path]:
    """Everything in the folder that a training of this name could write over, sorted; a folder may be missing."""
    try:
        entries = os.listdir(folder)  # noqa: PTH208 (pathlib's raises for names that are too long on some systems)
    except OSError:
        return []
    ours = re.compile(rf"{re.escape(name)}(-step\d{{8}}|-\d{{6}})?(\.safetensors|-state)")
    return [folder / entry for entry in sorted(entries) if ours.fullmatch(entry)]


def continues_there(resume: str | None, folder: Path, name: str) -> bool:
    """Whether a resumed training goes on in the files that its state came from, and so may replace the later ones."""
    if not resume:
        return False
    state = Path(resume).absolute()
    return state.parent == folder.absolute() and state in existing_outputs(folder.absolute(), name)


def check_folder(path: Path, *, option: str) -> None:
    """Raise OptionError if nothing can be written into a folder, which need not be there yet."""
    path = path.absolute()
    nearest = next((folder for folder in (path, *path.parents) if os.access(folder, os.F_OK)), None)
    if nearest is None:
        fault = "there is no such drive"
    elif not nearest.is_dir():
        fault = f"{nearest} is a file, and a folder is wanted"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        fault = f"nothing can be written into {nearest}"
    else:
        return
    raise OptionError(f"{path}: {fault}", hint=f"choose another {option}, or see to its rights", option=option)
