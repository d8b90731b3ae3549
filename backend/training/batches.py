"""Batches as tensors: read from the caches in the order of the epoch, ahead of the steps that use them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from backend.caching.files import read_latents, read_text
from backend.dataset.batches import Batch
from backend.dataset.cached import CachedItem
from backend.dataset.read_ahead import map_ahead
from backend.errors import DatasetError


@dataclass(frozen=True)
class TrainingBatch:
    """What one forward pass learns from.

    latents: (B, 16, F, H, W), unscaled. text_states: (B, L, text width). text_mask: (B, L), 1 for real tokens.
    pooled_text: (B, pooled width). As read, all have the dtype of their caches.
    """

    latents: Tensor
    text_states: Tensor
    text_mask: Tensor
    pooled_text: Tensor

    def to(self, device: torch.device) -> TrainingBatch:
        """The same batch on a device, all but the mask in float32."""
        return TrainingBatch(  # half as many bytes travel, and the device converts them
            self.latents.to(device).float(),
            self.text_states.to(device).float(),
            self.text_mask.to(device),
            self.pooled_text.to(device).float(),
        )


def read_batch(batch: Batch[CachedItem]) -> TrainingBatch:
    """One batch from its cache files. Raises DatasetError if a file is damaged or shapes do not go together."""
    latents = [read_latents(item.latent_path) for item in batch.items]
    texts = [read_text(item.text_path) for item in batch.items]
    return TrainingBatch(
        latents=_stack(latents, [item.latent_path for item in batch.items]),
        text_states=_stack([text["llm"] for text in texts], [item.text_path for item in batch.items]),
        text_mask=_stack([text["llm_mask"] for text in texts], [item.text_path for item in batch.items]),
        pooled_text=_stack([text["clipL"] for text in texts], [item.text_path for item in batch.items]),
    )


def read_batches(batches: Iterable[Batch[CachedItem]], *, workers: int = 1) -> Iterator[TrainingBatch]:
    """The batches in their order; while one is used, the next ones are read.

    workers: threads that read, each one batch ahead; 0 reads a batch when it is asked for.
    """
    return map_ahead(read_batch, batches, workers=workers)


def _stack(tensors: list[Tensor], paths: list[Path]) -> Tensor:
    """The tensors of one batch as one. Raises DatasetError naming the files if their shapes differ."""
    if len({tensor.shape for tensor in tensors}) > 1:
        found = ", ".join(f"{path.name} {list(tensor.shape)}" for path, tensor in zip(paths, tensors, strict=True))
        raise DatasetError(f"caches of one batch differ in shape: {found}", hint="cache again, without skip_existing")
    return torch.stack(tensors)
