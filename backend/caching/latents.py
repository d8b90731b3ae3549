"""Latent caches: every picture and frame window of a dataset, encoded by the VAE once and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from diffusers import AutoencoderKLHunyuanVideo

from backend.caching.files import stored_latent_shape, write_latent_cache
from backend.caching.progress import Progress, ignore_progress
from backend.config.dataset_models import DatasetFile, ImageDataset, VideoDataset
from backend.dataset.expected import ExpectedItem, expected_items
from backend.dataset.items import find_items, usable_items
from backend.dataset.media_files import clip_size, image_size
from backend.dataset.pixels import fit_to_bucket, read_image, read_windows
from backend.errors import DatasetError, Problem, UserError
from backend.models.hunyuan_video.vae import encode, normalize_pixels

_LATENT_CHANNELS = 16


@dataclass(frozen=True)
class PendingLatents:
    """The items of one dataset whose latents are still to be made."""

    dataset: ImageDataset | VideoDataset
    items: tuple[ExpectedItem, ...]


@dataclass(frozen=True)
class LatentWork:
    """What caching has to do. problems: errors for media that cannot be read, warnings for others that are left out."""

    pending: tuple[PendingLatents, ...]
    existing_count: int
    problems: tuple[Problem, ...]

    @property
    def pending_count(self) -> int:
        return sum(len(each.items) for each in self.pending)


def find_latent_work(dataset_file: DatasetFile, *, skip_existing: bool) -> LatentWork:
    """What is to be encoded; only headers of media and caches are read.

    With skip_existing an item is left alone whose cache is whole and has the shape that the dataset asks for now.
    Raises DatasetError if a folder is missing.
    """
    pending, problems, existing_count = [], [], 0
    for dataset in dataset_file.datasets:
        items, found = expected_items(dataset)
        unreadable = {problem.message: problem for problem in _unreadable_media(dataset, items)}
        wanted = tuple(item for item in items if not (skip_existing and _is_cached(item)))
        pending.append(PendingLatents(dataset, wanted))
        problems += [unreadable.get(problem.message, problem) for problem in found]
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
    """Encode and write every pending item; what could not be read is told and does not stop the others.

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


def _unreadable_media(dataset: ImageDataset | VideoDataset, items: Sequence[ExpectedItem]) -> Iterator[Problem]:
    """An error for each damaged file among those that gave no item; to training they are merely absent."""
    expected = {item.media.path for item in items}
    size_of = image_size if dataset.kind == "image" else clip_size
    for media in usable_items(find_items(dataset))[0]:
        if media.path not in expected:
            try:
                size_of(media.path)
            except DatasetError as error:
                yield from error.problems


def _is_cached(item: ExpectedItem) -> bool:
    width, height = (side // 8 for side in item.bucket)
    frames = ((item.frame_count or 1) - 1) // 4 + 1
    return stored_latent_shape(item.latent_path) == (_LATENT_CHANNELS, frames, height, width)


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
            problems += error.problems


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
            hint="lower batch_size, resolution or target_frames, or encode in tiles",
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
