"""The device that models run on."""

from __future__ import annotations

import torch

from backend.errors import OptionError


def choose_device(name: str | None) -> torch.device:
    """The named device, or without a name a GPU if there is one; OptionError if this machine has no such device.

    Without a name it is the one that accelerate trains on.
    """
    if not name:
        kinds = {"mps": torch.backends.mps.is_available(), "cuda": torch.cuda.is_available(), "cpu": True}
        return torch.device(next(kind for kind, is_there in kinds.items() if is_there))
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"device: {name} cannot be used: {_first_line(error)}", option="device") from error
    return device


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
