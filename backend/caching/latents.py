"""Latent caches: every picture and frame window of a dataset, encoded by the VAE once and kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import numpy as np
import torch
from diffusers import AutoencoderKLHunyuanVideo

from backend.caching.files import write_latent_cache
from backend.caching.progress import Progress, ignore_progress
from backend.config.dataset_models import DatasetFile, ImageDataset, VideoDataset
from backend.dataset.cached import latent_problem
from backend.dataset.expected import ExpectedItem, expected_items
from backend.dataset.origin import ENCODER
from backend.dataset.pixels import fit_to_bucket, read_image, read_windows
from backend.dataset.read_ahead import stream_ahead
from backend.errors import DatasetError, Problem, UserError
from backend.models.hunyuan_video.vae import encode, normalize_pixels


@dataclass(frozen=True)
class PendingLatents:
    """The items of one dataset whose latents are still to be made."""

    dataset: ImageDataset | VideoDataset
    items: tuple[ExpectedItem, ...]


@dataclass(frozen=True)
class LatentWork:
    """What caching has to do. problems: warnings about media that are left out. stale: why caches that are there are
    made anew. encoder: the autoencoder as `encoder_name` tells it, None if it is not to be kept."""

    pending: tuple[PendingLatents, ...]
    existing_count: int
    problems: tuple[Problem, ...]
    stale: tuple[Problem, ...] = ()
    encoder: str | None = None

    @property
    def pending_count(self) -> int:
        return sum(len(each.items) for each in self.pending)

    def count_cached(self) -> int:
        """How many items are cached by now."""
        pending = (item for each in self.pending for item in each.items)
        return self.existing_count + sum(_fault(item, self.encoder) is None for item in pending)


def find_latent_work(dataset_file: DatasetFile, *, skip_existing: bool, encoder: str | None = None) -> LatentWork:
    """What is to be encoded; only headers of media and caches are read.

    With skip_existing an item is left alone whose cache is whole, has the shape that the dataset asks for now, and was
    made by this encoder from this file, as far as it tells. Raises DatasetError if a folder is missing.
    """
    pending, problems, stale, existing_count = [], [], [], 0
    for dataset in dataset_file.datasets:
        items, found = expected_items(dataset)
        faults = {item: fault for item in items if (fault := _fault(item, encoder)) is not None}
        wanted = tuple(item for item in items if item in faults or not skip_existing)
        pending.append(PendingLatents(dataset, wanted))
        problems += found
        stale += [fault for item, fault in faults.items() if skip_existing and item.latent_path.exists()]
        existing_count += len(items) - len(wanted)
    return LatentWork(tuple(pending), existing_count, tuple(problems), tuple(stale), encoder)


def cache_latents(
    work: LatentWork,
    vae: AutoencoderKLHunyuanVideo,
    *,
    batch_size: int | None = None,
    workers: int = 0,
    seed: int = 0,
    progress: Progress = ignore_progress,
) -> list[Problem]:
    """Encode and write every pending item; the warnings returned name what could not be read.

    batch_size: None for that of each dataset. workers: threads that decode while others are encoded. seed: the
    posterior is sampled with a generator seeded from this and the cache's file name, so the same item always gives the
    same latents.
    Raises UserError if the memory is not enough.
    """
    problems: list[Problem] = []
    before = 0
    for pending in work.pending:
        done = before
        size = batch_size or pending.dataset.batch_size
        loaded = load_items(pending, problems, workers=workers, ahead=2 * size)
        for batch in _batches(loaded, size):
            _encode_and_write(vae, batch, seed=seed, encoder=work.encoder)
            done += len(batch)
            progress(done, work.pending_count, _described(batch))
        before += len(pending.items)  # with those that could not be read: nothing is left to do of them either
    return problems


@dataclass(frozen=True)
class LoadedItem:
    """An item as the VAE will see it. frames: uint8 (T, H, W, 3), at the size of the bucket. origin: what its file was
    when it was read."""

    item: ExpectedItem
    frames: np.ndarray
    origin: Mapping[str, str]


def _fault(item: ExpectedItem, encoder: str | None) -> Problem | None:
    return latent_problem(
        item.latent_path, bucket=item.bucket, frame_count=item.frame_count, origin=item.origin, encoder=encoder
    )


def _batches(items: Iterator[LoadedItem], batch_size: int) -> Iterator[list[LoadedItem]]:
    """Items of one shape, up to batch_size together."""
    waiting: dict[tuple[int, ...], list[LoadedItem]] = {}
    for loaded in items:
        batch = waiting.setdefault(loaded.frames.shape, [])
        batch.append(loaded)
        if len(batch) == batch_size:
            yield waiting.pop(loaded.frames.shape)
    yield from waiting.values()


def load_items(
    pending: PendingLatents, problems: list[Problem], *, workers: int = 0, ahead: int = 0
) -> Iterator[LoadedItem]:
    """The pending items, decoded; what cannot be read is added to the problems as a warning.

    Each clip is decoded once, however many windows it has, and of these few are held at a time. workers: threads that
    decode, each a picture or clip. ahead: of pictures so many are decoded before they are asked for.
    """
    media = [list(group) for _, group in groupby(pending.items, key=lambda item: item.media.path)]
    load = partial(_load_medium, dataset=pending.dataset)
    # Of clips, which may be large, no more are begun than threads work on.
    ahead = ahead if isinstance(pending.dataset, ImageDataset) else 0
    for loaded in stream_ahead(load, media, workers=workers, ahead=ahead):
        if isinstance(loaded, LoadedItem):
            yield loaded
        else:
            problems.append(loaded)


def _load_medium(
    items: Sequence[ExpectedItem], *, dataset: ImageDataset | VideoDataset
) -> Iterator[LoadedItem | Problem]:
    """A picture, or all wanted windows of one clip; of a damaged clip those before the damage, then what is wrong."""
    media = items[0].media
    try:
        origin = items[0].origin.as_metadata()
        for item, frames in _frames_of(items, dataset):
            yield LoadedItem(item, frames, origin)
    except DatasetError as error:
        yield from (replace(problem, severity="warning") for problem in error.problems)
    except OSError as error:
        yield Problem(f"{media.path}: cannot be read: {error.strerror}", "", "dataset_config", "warning")


def _frames_of(
    items: Sequence[ExpectedItem], dataset: ImageDataset | VideoDataset
) -> Iterator[tuple[ExpectedItem, np.ndarray]]:
    media, bucket = items[0].media, items[0].bucket
    if isinstance(dataset, ImageDataset):
        yield items[0], fit_to_bucket(read_image(media.path), bucket)[None]
        return
    by_window = {item.window: item for item in items if item.window is not None}
    for window, frames in read_windows(media.path, by_window, bucket=bucket, source_fps=dataset.source_fps):
        yield by_window[window], frames


def _encode_and_write(
    vae: AutoencoderKLHunyuanVideo, batch: Sequence[LoadedItem], *, seed: int, encoder: str | None
) -> None:
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
        origin = {**loaded.origin, ENCODER: encoder} if encoder is not None else loaded.origin
        write_latent_cache(item.latent_path, each, size=size, frame_count=item.frame_count, origin=origin)


def _generator(seed: int, item: ExpectedItem) -> torch.Generator:
    digest = hashlib.sha256(f"{seed} {item.latent_path.name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little"))


def _described(batch: Sequence[LoadedItem]) -> str:
    frames, height, width, _ = batch[0].frames.shape
    names = ", ".join(loaded.item.latent_path.name.removesuffix("_hv.safetensors") for loaded in batch)
    return f"{names} ({width}x{height}" + (f", {frames} frames)" if frames > 1 else ")")
