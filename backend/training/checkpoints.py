"""What a training saves: LoRA files and states under their names, as its plan of saving has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from backend.networks.files import save_lora
from backend.plan.output_files import epoch_file, final_file, state_folder, step_file
from backend.plan.saving import SavePlan
from backend.training.state import remove_state

SAVE_DTYPES = {"float": torch.float32, "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass
class Saver:
    """Saves LoRA files and states under musubi-tuner's names.

    tensors: the network's state dict as it is to be saved. metadata: that of a file saved after that many steps in that
    epoch. write_state: writes a state folder of the training as it stands.
    """

    folder: Path
    name: str
    dtype: torch.dtype
    plan: SavePlan
    tensors: Callable[[], Mapping[str, Tensor]]
    metadata: Callable[[int, int], Mapping[str, str]]
    write_state: Callable[[Path], None]
    saved: list[Path] = field(default_factory=list, init=False)
    """What was saved and is still there, in order."""

    def save_step(self, *, step: int, epoch: int) -> None:
        """The checkpoint of a step; epoch is the running one, from 1; the file tells the epochs completed."""
        self._save_lora(step_file(self.name, step), step=step, epoch=epoch - 1)
        self._remove(step_file(self.name, old) if (old := self.plan.old_step(step)) else None)
        if self.plan.save_state:
            self._save_state(step_file(self.name, step))
            old = self.plan.old_step(step, state=True)
            self._remove(state_folder(step_file(self.name, old)) if old else None)

    def save_epoch(self, *, step: int, epoch: int) -> None:
        """The checkpoint at the end of an epoch."""
        self._save_lora(epoch_file(self.name, epoch), step=step, epoch=epoch)
        self._remove(epoch_file(self.name, old) if (old := self.plan.old_epoch(epoch)) else None)
        if self.plan.save_state:
            self._save_state(epoch_file(self.name, epoch))
            old = self.plan.old_epoch(epoch, state=True)
            self._remove(state_folder(epoch_file(self.name, old)) if old else None)

    def save_final(self, *, step: int, epoch: int) -> Path:
        """The trained LoRA, and its state where one is wanted."""
        if self.plan.save_state or self.plan.save_state_on_train_end:
            self._save_state(final_file(self.name))
        return self._save_lora(final_file(self.name), step=step, epoch=epoch)

    def save_stopped(self, *, step: int, epoch: int) -> Path:
        """Checkpoint and state of a training that was asked to stop, so that it can go on; nothing old goes."""
        self._save_lora(step_file(self.name, step), step=step, epoch=epoch - 1)
        return self._save_state(step_file(self.name, step))

    def _save_lora(self, file_name: str, *, step: int, epoch: int) -> Path:
        path = self.folder / file_name
        save_lora(path, self.tensors(), metadata=self.metadata(step, epoch), dtype=self.dtype)
        return self._told(path)

    def _save_state(self, file_name: str) -> Path:
        path = self.folder / state_folder(file_name)
        self.write_state(path)
        return self._told(path)

    def _told(self, path: Path) -> Path:
        if path not in self.saved:
            self.saved.append(path)
        return path

    def _remove(self, file_name: str | None) -> None:
        if file_name is None:
            return
        path = self.folder / file_name
        if path.is_dir():
            remove_state(path)
        else:
            path.unlink(missing_ok=True)
        if path in self.saved:
            self.saved.remove(path)
