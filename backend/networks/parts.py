"""Refusing the tensors of a LoRA file that cannot be computed with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from backend.errors import ModelFileError


def refuse_not_finite(tensors: Mapping[str, Tensor], *, path: Path) -> None:
    """Raise ModelFileError naming the first tensor that holds a value that is not finite."""
    for name, tensor in tensors.items():
        if not tensor.float().isfinite().all():
            hint = "its training went wrong; choose an earlier file"
            raise ModelFileError(f"{path}: {name} holds values that are not finite", hint=hint)
