"""Cached items: what training can see of a dataset, from the cache folder alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from backend.config.dataset_models import ImageDataset, Size, VideoDataset
from backend.dataset.buckets import bucket_for, bucket_sizes
from backend.dataset.cache_names import LatentCacheName, parse_latent_cache_name, text_cache_name
from backend.dataset.expected import ExpectedItem
from backend.dataset.windows import FrameWindow
from backend.errors import ModelFileError, Problem
from backend.plan.weights_header import TensorHeader, read_header

LATENT_CHANNELS = 16
CACHE_AGAIN = "cache again"
CACHE_LATENTS_AGAIN = "cache the latents again"
CACHE_TEXTS_AGAIN = "cache the text encoder outputs again"

LATENTS_KEY = re.compile(r"latents_\d+x\d+x\d+_\w+")
TEXT_KEYS = {  # what training needs; the ending is the dtype
    "llm": re.compile(r"llm_(?!mask$)\w+"),
    "llm_mask": re.compile(r"llm_mask"),
    "clipL": re.compile(r"clipL_(?!mask$)\w+"),
}


@dataclass(frozen=True)
class CachedItem:
    """A picture, or a window of a clip, ready to be trained on.

    bucket: (width, height) in pixels, which is the latents' real size. frame_count: None for a picture.
    """

    stem: str
    latent_path: Path
    text_path: Path
    bucket: Size
    frame_count: int | None


def find_cached_items(dataset: ImageDataset | VideoDataset) -> tuple[list[CachedItem], list[Problem]]:
    """Every item that can be trained on, by stem and window, and a warning for each cache that cannot be used.

    The media need not be there. An error among the problems says that there is nothing to train on.
    """
    folder = dataset.cache_folder
    latents = _latent_files(folder, dataset)
    text_problems = {stem: _text_problem(folder / text_cache_name(stem)) for stem in {name.stem for _, name in latents}}
    items, problems = [], []
    for path, name in latents:
        bucket = _trained_bucket(name, dataset)
        problem = _latent_problem(path, name, bucket) or text_problems[name.stem]
        if problem is None:
            frame_count = name.window.count if name.window else None
            items.append(CachedItem(name.stem, path, folder / text_cache_name(name.stem), bucket, frame_count))
        elif problem not in problems:  # windows of a clip share its text cache
            problems.append(problem)
    problems += _unasked_buckets(items, dataset)
    if not items:
        problems.append(_problem(f"{folder}: nothing to train on is cached", "cache latents and texts", "error"))
    return items, problems


def compare_caches(expected: Iterable[ExpectedItem], cached: Iterable[CachedItem]) -> list[Problem]:
    """Warnings about items that are not cached, and about caches of items that are no longer there."""
    wanted = {item.latent_path for item in expected}
    present = {item.latent_path for item in cached}
    problems = []
    if missing := sorted(path.name for path in wanted - present):
        problems.append(_problem(f"not cached, or not usable: {_listed(missing, len(wanted))}", CACHE_AGAIN))
    if foreign := sorted(path.name for path in present - wanted):
        hint = "delete these files, or they are trained on as well"
        problems.append(_problem(f"cached, but not in the dataset: {_listed(foreign, len(present))}", hint))
    return problems


def _listed(names: list[str], total: int) -> str:
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names)} of {total}: {shown}"


def _latent_files(folder: Path, dataset: ImageDataset | VideoDataset) -> list[tuple[Path, LatentCacheName]]:
    """The latent caches of this kind in the folder, by stem and window."""
    if not folder.is_dir():
        return []
    parsed = ((path, parse_latent_cache_name(path.name, dataset.kind)) for path in folder.iterdir())
    latents = sorted(((path, name) for path, name in parsed if name is not None), key=_order)
    if dataset.kind == "image" or dataset.enable_bucket:
        return latents
    # A window cached at the resolution replaces what musubi-tuner had cached in a bucket.
    at_resolution = {(name.stem, name.window) for _, name in latents if name.size == dataset.resolution}
    return [
        (path, name)
        for path, name in latents
        if name.size == dataset.resolution or (name.stem, name.window) not in at_resolution
    ]


def _order(latent: tuple[Path, LatentCacheName]) -> tuple:
    name = latent[1]
    return name.stem, name.window or FrameWindow(0, 0), name.size


def _trained_bucket(name: LatentCacheName, dataset: ImageDataset | VideoDataset) -> Size:
    """The bucket that the current dataset file gives the item.

    Clips that musubi-tuner cached are always in buckets, even without enable_bucket: they keep theirs.
    """
    if name.window is not None and not dataset.enable_bucket and name.size in bucket_sizes(dataset.resolution):
        return name.size
    return bucket_for(name.size, dataset)


def _unasked_buckets(items: Iterable[CachedItem], dataset: ImageDataset | VideoDataset) -> list[Problem]:
    if dataset.enable_bucket or all(item.bucket == dataset.resolution for item in items):
        return []
    width, height = dataset.resolution
    message = f"{dataset.cache_folder}: clips are cached in buckets, but enable_bucket is off"
    hint = f"set enable_bucket = true, or cache the latents again to have all at {width}x{height}"
    return [_problem(message, hint)]


def _latent_problem(path: Path, name: LatentCacheName, bucket: Size) -> Problem | None:
    tensors, problem = _tensors(path)
    if problem is not None:
        return problem
    shapes = [tensor.shape for key, tensor in tensors.items() if LATENTS_KEY.fullmatch(key)]
    if len(shapes) != 1:
        return _problem(f"{path}: {len(shapes)} tensors of latents, but one is wanted", CACHE_LATENTS_AGAIN)
    latent_frames = (name.window.count - 1) // 4 + 1 if name.window else 1
    wanted = (LATENT_CHANNELS, latent_frames, bucket[1] // 8, bucket[0] // 8)
    if shapes[0] == wanted:
        return None
    return _problem(
        f"{path}: latents of shape {list(shapes[0])}, but {bucket[0]}x{bucket[1]} pixels need {list(wanted)}",
        CACHE_LATENTS_AGAIN,
    )


def _text_problem(path: Path) -> Problem | None:
    if not path.is_file():
        return _problem(f"{path}: no such text cache", CACHE_TEXTS_AGAIN)
    tensors, problem = _tensors(path)
    if problem is not None:
        return problem
    found = {name: sum(pattern.fullmatch(key) is not None for key in tensors) for name, pattern in TEXT_KEYS.items()}
    if missing := [name for name, count in found.items() if count == 0]:
        return _problem(f"{path}: without {', '.join(missing)}", CACHE_TEXTS_AGAIN)
    if twice := [name for name, count in found.items() if count > 1]:
        return _problem(f"{path}: {', '.join(twice)} in more than one dtype", CACHE_TEXTS_AGAIN)
    return None


def _tensors(path: Path) -> tuple[dict[str, TensorHeader], Problem | None]:
    """The header of a cache, or what is wrong with the file."""
    try:
        return read_header(path)[0], None
    except ModelFileError as error:
        return {}, _problem(error.problems[0].message, CACHE_AGAIN)


def _problem(message: str, hint: str, severity: Literal["error", "warning"] = "warning") -> Problem:
    return Problem(message, hint, "dataset_config", severity)
