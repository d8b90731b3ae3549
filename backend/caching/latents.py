"""Latent caches: every picture and frame window of a dataset, encoded by the VAE once and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch
from diffusers import AutoencoderKLHunyuanVideo

from backend.caching.files import write_latent_cache
from backend.caching.progress import Progress, ignore_progress
from backend.config.dataset_models import DatasetFile, ImageDataset, VideoDataset
from backend.dataset.cached import latent_problem
from backend.dataset.expected import ExpectedItem, expected_items
from backend.dataset.pixels import fit_to_bucket, read_image, read_windows
from backend.errors import DatasetError, Problem, UserError
from backend.models.hunyuan_video.vae import encode, normalize_pixels


@dataclass(frozen=True)
class PendingLatents:
    """The items of one dataset whose latents are still to be made."""

    dataset: ImageDataset | VideoDataset
    items: tuple[ExpectedItem, ...]


@dataclass(frozen=True)
class LatentWork:
    """What caching has to do. problems: warnings about media that are left out."""

    pending: tuple[PendingLatents, ...]
    existing_count: int
    problems: tuple[Problem, ...]

    @property
    def pending_count(self) -> int:
        return sum(len(each.items) for each in self.pending)

    def count_cached(self) -> int:
        """How many items are cached by now."""
        return self.existing_count + sum(_is_cached(item) for each in self.pending for item in each.items)


def find_latent_work(dataset_file: DatasetFile, *, skip_existing: bool) -> LatentWork:
    """What is to be encoded; only headers of media and caches are read.

    With skip_existing an item is left alone whose cache is whole and has the shape that the dataset asks for now.
    Raises DatasetError if a folder is missing.
    """
    pending, problems, existing_count = [], [], 0
    for dataset in dataset_file.datasets:
        items, found = expected_items(dataset)
        wanted = tuple(item for item in items if not (skip_existing and _is_cached(item)))
        pending.append(PendingLatents(dataset, wanted))
        problems += found
        existing_count += len(items) - len(wanted)
    return LatentWork(tuple(pending), existing_count, tuple(problems))


def cache_latents(
    work: LatentWork,
    vae: AutoencoderKLHunyuanVideo,
    *,
    batch_size: int | None = None,
    seed: int = 0,
    progress: Progress = ignore_progress,
) -> list[Problem]:
    """Encode and write every pending item; the warnings returned name what could not be read.

    batch_size: None for that of each dataset. seed: the posterior is sampled with a generator seeded from this and the
    cache's file name, so the same item always gives the same latents. Raises UserError if the memory is not enough.
    """
    problems: list[Problem] = []
    done = 0
    for pending in work.pending:
        for batch in _batches(pending, batch_size or pending.dataset.batch_size, problems):
            _encode_and_write(vae, batch, seed=seed)
            done += len(batch)
            progress(done, work.pending_count, _described(batch))
    return problems


@dataclass(frozen=True)
class _LoadedItem:
    """frames: uint8 (T, H, W, 3), at the size of the bucket."""

    item: ExpectedItem
    frames: np.ndarray


def _is_cached(item: ExpectedItem) -> bool:
    return latent_problem(item.latent_path, bucket=item.bucket, frame_count=item.frame_count) is None


def _batches(pending: PendingLatents, batch_size: int, problems: list[Problem]) -> Iterator[list[_LoadedItem]]:
    """Items of one shape, up to batch_size together; each clip is decoded once, however many windows it has."""
    waiting: dict[tuple[int, ...], list[_LoadedItem]] = {}
    for loaded in _load(pending, problems):
        batch = waiting.setdefault(loaded.frames.shape, [])
        batch.append(loaded)
        if len(batch) == batch_size:
            yield waiting.pop(loaded.frames.shape)
    yield from waiting.values()


def _load(pending: PendingLatents, problems: list[Problem]) -> Iterator[_LoadedItem]:
    for _, group in groupby(pending.items, key=lambda item: item.media.path):
        items = list(group)
        try:
            yield from _load_medium(items, pending.dataset)
        except DatasetError as error:
            problems += [replace(problem, severity="warning") for problem in error.problems]


def _load_medium(items: Sequence[ExpectedItem], dataset: ImageDataset | VideoDataset) -> Iterator[_LoadedItem]:
    """A picture, or all wanted windows of one clip."""
    media, bucket = items[0].media, items[0].bucket
    if isinstance(dataset, ImageDataset):
        yield _LoadedItem(items[0], fit_to_bucket(read_image(media.path), bucket)[None])
        return
    by_window = {item.window: item for item in items}
    for window, frames in read_windows(media.path, by_window, bucket=bucket, source_fps=dataset.source_fps):
        yield _LoadedItem(by_window[window], frames)


def _encode_and_write(vae: AutoencoderKLHunyuanVideo, batch: Sequence[_LoadedItem], *, seed: int) -> None:
    frames = torch.from_numpy(np.stack([loaded.frames for loaded in batch]))
    generators = [_generator(seed, loaded.item) for loaded in batch]
    try:
        pixels = normalize_pixels(frames, device=vae.device, dtype=vae.dtype)
        latents = encode(vae, pixels, generators=generators).cpu()
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"not enough memory to encode {_described(batch)}",
            hint="lower batch_size, resolution or target_frames",
        ) from error
    for loaded, each in zip(batch, latents, strict=True):
        item = loaded.item
        size = item.bucket if item.window else item.size
        write_latent_cache(item.latent_path, each, size=size, frame_count=item.frame_count)


def _generator(seed: int, item: ExpectedItem) -> torch.Generator:
    digest = hashlib.sha256(f"{seed} {item.latent_path.name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little"))


def _described(batch: Sequence[_LoadedItem]) -> str:
    frames, height, width, _ = batch[0].frames.shape
    names = ", ".join(loaded.item.latent_path.name.removesuffix("_hv.safetensors") for loaded in batch)
    return f"{names} ({width}x{height}" + (f", {frames} frames)" if frames > 1 else ")")
