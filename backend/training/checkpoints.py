"""Checkpoints of a training: the names of the LoRA files, and when one is due."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from backend.networks.files import save_lora

SAVE_DTYPES = {"float": torch.float32, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class CheckpointSaver:
    """Saves the LoRA under musubi-tuner's names.

    metadata: the metadata of a file saved after that many steps in that epoch.
    """

    folder: Path
    name: str
    dtype: torch.dtype
    every_n_steps: int | None
    every_n_epochs: int | None
    metadata: Callable[[int, int], Mapping[str, str]]

    def step_is_due(self, step: int) -> bool:
        return self.every_n_steps is not None and step % self.every_n_steps == 0

    def epoch_is_due(self, epoch: int, *, last: bool) -> bool:
        """At the end of the last epoch only the final file is written."""
        return self.every_n_epochs is not None and epoch % self.every_n_epochs == 0 and not last

    def save_step(self, tensors: Mapping[str, Tensor], *, step: int, epoch: int) -> Path:
        """NAME-step00000100.safetensors; epoch is the running one, from 1; the file tells the epochs completed."""
        return self._save(f"{self.name}-step{step:08d}", tensors, step=step, epoch=epoch - 1)

    def save_epoch(self, tensors: Mapping[str, Tensor], *, step: int, epoch: int) -> Path:
        """NAME-000001.safetensors."""
        return self._save(f"{self.name}-{epoch:06d}", tensors, step=step, epoch=epoch)

    def save_final(self, tensors: Mapping[str, Tensor], *, step: int, epoch: int) -> Path:
        """NAME.safetensors."""
        return self._save(self.name, tensors, step=step, epoch=epoch)

    def _save(self, name: str, tensors: Mapping[str, Tensor], *, step: int, epoch: int) -> Path:
        path = self.folder / f"{name}.safetensors"
        save_lora(path, tensors, metadata=self.metadata(step, epoch), dtype=self.dtype)
        return path
