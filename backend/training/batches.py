"""Batches as tensors: read from the caches in the order of the epoch, one ahead of the step that uses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.caching.files import read_latents, read_text
from backend.dataset.batches import Batch
from backend.dataset.cached import CachedItem
from backend.errors import DatasetError


@dataclass(frozen=True)
class TrainingBatch:
    """What one forward pass learns from.

    latents: (B, 16, F, H, W), unscaled. text_states: (B, L, text width). text_mask: (B, L), 1 for real tokens.
    pooled_text: (B, pooled width).
    """

    latents: Tensor
    text_states: Tensor
    text_mask: Tensor
    pooled_text: Tensor

    def to(self, device: torch.device) -> TrainingBatch:
        """The same batch on a device, all but the mask in float32."""
        return TrainingBatch(
            self.latents.to(device, torch.float32),
            self.text_states.to(device, torch.float32),
            self.text_mask.to(device),
            self.pooled_text.to(device, torch.float32),
        )


def read_batch(batch: Batch[CachedItem]) -> TrainingBatch:
    """One batch from its cache files. Raises DatasetError if a file is damaged or shapes do not go together."""
    latents = [read_latents(item.latent_path) for item in batch.items]
    texts = [read_text(item.text_path) for item in batch.items]
    if len({tensor.shape for tensor in latents}) > 1:
        names = ", ".join(
            f"{item.latent_path.name} {tuple(t.shape)}" for item, t in zip(batch.items, latents, strict=True)
        )
        raise DatasetError(f"latents of one batch differ in shape: {names}", hint="cache the latents again")
    return TrainingBatch(
        latents=torch.stack([tensor.float() for tensor in latents]),
        text_states=torch.stack([text["llm"] for text in texts]),
        text_mask=torch.stack([text["llm_mask"] for text in texts]),
        pooled_text=torch.stack([text["clipL"] for text in texts]),
    )


def read_batches(batches: Iterable[Batch[CachedItem]]) -> Iterator[TrainingBatch]:
    """The batches in their order; while one is used the next is read by another thread."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as reader:
        pending = None
        for batch in batches:
            upcoming = reader.submit(read_batch, batch)
            if pending is not None:
                yield pending.result()
            pending = upcoming
        if pending is not None:
            yield pending.result()
