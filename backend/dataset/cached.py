"""Cached items: what training can see of a dataset from the cache folder alone, and whether a cache can be used."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from backend.config.dataset import Dataset
from backend.config.dataset_models import Size
from backend.dataset.buckets import bucket_for, bucket_sizes
from backend.dataset.cache_header import CacheHeader, HeaderOf, read_cache_header
from backend.dataset.cache_names import LatentCacheName, parse_latent_cache_name, text_cache_name
from backend.dataset.media_files import is_folder
from backend.dataset.origin import Origin, encoder_fault
from backend.dataset.windows import FrameWindow
from backend.errors import Problem

LATENT_CHANNELS = 16
CACHE_AGAIN = "cache again"
CACHE_LATENTS_AGAIN = "cache the latents again"
CACHE_TEXTS_AGAIN = "cache the text encoder outputs again"

TEXT_PARTS = {"llm": ("llm", "llm_mask"), "clipL": ("clipL",)}
"""The text encoders, and the tensors of each that training needs; a text cache holds each in one dtype."""

_LATENTS_KEY = re.compile(r"latents_\d+x\d+x\d+_\w+")
_DTYPE_ENDING = re.compile(r"_(float\d+|bfloat16|float8_\w+)$")


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


def find_cached_items(
    dataset: Dataset, *, header_of: HeaderOf = read_cache_header
) -> tuple[list[CachedItem], list[Problem]]:
    """Every item that can be trained on, by stem and window, and a warning for each cache that cannot be used.

    The media need not be there. An error among the problems says that there is nothing to train on.
    """
    folder = dataset.cache_folder
    latents = _without_replaced(latent_files(dataset), dataset)
    text_problems = {
        stem: text_problem(path := folder / text_cache_name(stem), header=header_of(path))
        for stem in {name.stem for _, name in latents}
    }
    items, problems = [], []
    for path, name in latents:
        bucket = _trained_bucket(name, dataset)
        frame_count = name.window.count if name.window else None
        problem = latent_problem(path, bucket=bucket, frame_count=frame_count, header=header_of(path))
        problem = problem or text_problems[name.stem]
        if problem is None:
            items.append(CachedItem(name.stem, path, folder / text_cache_name(name.stem), bucket, frame_count))
        elif problem not in problems:  # windows of a clip share its text cache
            problems.append(problem)
    problems += _unasked_buckets(items, dataset)
    if not items:
        problems.append(_problem(f"{folder}: nothing to train on is cached", "cache latents and texts", "error"))
    return items, problems


def latent_files(dataset: Dataset) -> list[tuple[Path, LatentCacheName]]:
    """The files of the cache folder that are named like latent caches of this kind, by stem and window."""
    folder = dataset.cache_folder
    if not is_folder(folder):
        return []
    parsed = ((file, parse_latent_cache_name(file, dataset.kind)) for file in os.listdir(folder))  # noqa: PTH208
    return sorted(((folder / file, name) for file, name in parsed if name is not None), key=_order)


def latent_problem(
    path: Path,
    *,
    bucket: Size,
    frame_count: int | None,
    origin: Origin | None = None,
    encoder: str | None = None,
    header: CacheHeader | None = None,
) -> Problem | None:
    """Why a latent cache cannot be used, None if it can. Only its header is read, if it is not given.

    bucket: (width, height) in pixels. frame_count: in pixels, None for a picture. origin: what it must have been made
    from, None if that is not known. encoder: the autoencoder that must have made it, as `encoder_name` tells it. A
    cache that does not tell fits any.
    """
    header = header or read_cache_header(path)
    if header.fault:
        return _problem(header.fault, CACHE_AGAIN)
    shapes = [shape for key, shape in header.shapes.items() if _LATENTS_KEY.fullmatch(key)]
    if len(shapes) != 1:
        return _problem(f"{path}: {len(shapes)} tensors of latents, but one is wanted", CACHE_LATENTS_AGAIN)
    wanted = (LATENT_CHANNELS, ((frame_count or 1) - 1) // 4 + 1, bucket[1] // 8, bucket[0] // 8)
    if shapes[0] != wanted:
        return _problem(
            f"{path}: latents of shape {list(shapes[0])}, but {bucket[0]}x{bucket[1]} pixels need {list(wanted)}",
            CACHE_LATENTS_AGAIN,
        )
    fault = origin.fault(header.metadata) if origin is not None else None
    if fault := fault or encoder_fault(header.metadata, encoder):
        return _problem(f"{path}: {fault}", CACHE_LATENTS_AGAIN)
    return None


def text_problem(
    path: Path,
    *,
    caption: str | None = None,
    parts: Collection[str] = tuple(TEXT_PARTS),
    encoders: Mapping[str, str] | None = None,
    header: CacheHeader | None = None,
) -> Problem | None:
    """Why these parts of a text cache cannot be used, None if they can. Only its header is read, if it is not given.

    caption: what they must have been made from, None if that is not known. encoders: by part, the encoder that must
    have made it, as `encoder_name` tells it. A cache that does not tell fits any.
    """
    header = header or read_cache_header(path)
    if header.is_missing:
        return _problem(f"{path}: no such text cache", CACHE_TEXTS_AGAIN)
    if header.fault:
        return _problem(header.fault, CACHE_AGAIN)
    found = Counter(map(tensor_name, header.shapes))
    wanted = [name for part in parts for name in TEXT_PARTS[part]]
    if missing := [name for name in wanted if found[name] == 0]:
        return _problem(f"{path}: without {', '.join(missing)}", CACHE_TEXTS_AGAIN)
    if twice := [name for name in wanted if found[name] > 1]:
        return _problem(f"{path}: {', '.join(twice)} in more than one dtype", CACHE_TEXTS_AGAIN)
    if caption is not None and header.metadata.get("caption1", caption).strip() != caption.strip():
        return _problem(f"{path}: caption changed since it was cached", CACHE_TEXTS_AGAIN)
    for part in parts:
        now = (encoders or {}).get(part)
        made_by = header.metadata.get(text_encoder_key(part), now)
        if now is not None and made_by != now:
            return _problem(
                f"{path}: {part} was made by another text encoder ({made_by}, now {now})", CACHE_TEXTS_AGAIN
            )
    return None


def has_part(path: Path, part: str) -> bool:
    """Whether a text cache is there that holds this encoder's part, whatever it was made from, or is damaged."""
    header = read_cache_header(path)
    if header.fault:
        return not header.is_missing
    return not {*TEXT_PARTS[part]}.isdisjoint(map(tensor_name, header.shapes))


def text_encoder_key(part: str) -> str:
    """The name under which a text cache's metadata keeps the encoder that made a part."""
    return f"encoder_{part}"


@lru_cache(maxsize=1000)  # thousands of files have the same few keys
def tensor_name(key: str) -> str:
    """The name of a tensor in a text cache, which is its key without the dtype: llm for llm_float16."""
    return _DTYPE_ENDING.sub("", key)


def _without_replaced(
    latents: list[tuple[Path, LatentCacheName]], dataset: Dataset
) -> list[tuple[Path, LatentCacheName]]:
    """A window cached at the resolution replaces what musubi-tuner had cached in a bucket."""
    if dataset.kind == "image" or dataset.enable_bucket:
        return latents
    at_resolution = {(name.stem, name.window) for _, name in latents if name.size == dataset.resolution}
    return [
        (path, name)
        for path, name in latents
        if name.size == dataset.resolution or (name.stem, name.window) not in at_resolution
    ]


def _order(latent: tuple[Path, LatentCacheName]) -> tuple:
    name = latent[1]
    return name.stem, name.window or FrameWindow(0, 0), name.size


def _trained_bucket(name: LatentCacheName, dataset: Dataset) -> Size:
    """The bucket that the current dataset file gives the item.

    Clips that musubi-tuner cached are always in buckets, even without enable_bucket: they keep theirs.
    """
    if name.window is not None and not dataset.enable_bucket and name.size in bucket_sizes(dataset.resolution):
        return name.size
    return bucket_for(name.size, dataset)


def _unasked_buckets(items: Iterable[CachedItem], dataset: Dataset) -> list[Problem]:
    if dataset.enable_bucket or all(item.bucket == dataset.resolution for item in items):
        return []
    width, height = dataset.resolution
    message = f"{dataset.cache_folder}: clips are cached in buckets, but enable_bucket is off"
    hint = f"set enable_bucket = true, or cache the latents again to have all at {width}x{height}"
    return [_problem(message, hint)]


def _problem(message: str, hint: str, severity: Literal["error", "warning"] = "warning") -> Problem:
    return Problem(message, hint, "dataset_config", severity)
