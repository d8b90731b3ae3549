"""Counting a dataset before a training: photos, windows, batches, and what is still to be cached."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.config.dataset import Dataset, read_dataset_file
from backend.dataset.batches import BucketGroup, count_batches, group_into_buckets
from backend.dataset.cached import CachedItem, find_cached_items
from backend.dataset.expected import ExpectedItem, expected_items
from backend.errors import DatasetError, Problem


@dataclass(frozen=True)
class DatasetCount:
    """What a dataset gives for one epoch. missing: photos and windows whose caches are not there or not usable."""

    images: int
    windows: int
    items_with_repeats: int
    batches: int
    missing: int


def count_dataset(path: Path) -> tuple[DatasetCount, tuple[Problem, ...]]:
    """The count of a dataset file, and what is doubtful about it, as warnings.

    While nothing is missing, the caches are counted, as the trainer does; else what they will be. Counting again is
    free as long as no list was changed and no file was added to or removed from the folders. Raises DatasetError for
    mistakes in the file.
    """
    file = read_dataset_file(path)
    sources = {
        source
        for dataset in file.datasets
        for source in (dataset.media_directory, dataset.jsonl_file, dataset.cache_folder)
        if source is not None
    }
    stamps = tuple(sorted((str(source.absolute()), _changed_at(source)) for source in sources))
    return _count(path.absolute(), _changed_at(path), stamps)


@functools.lru_cache(maxsize=16)
def _count(path: Path, _stamp: int, _stamps: tuple[tuple[str, int], ...]) -> tuple[DatasetCount, tuple[Problem, ...]]:
    file = read_dataset_file(path)
    problems = list(file.warnings)
    cached = [_cached_items(dataset, problems) for dataset in file.datasets]
    expected = [
        _expected_items(dataset, problems, has_caches=bool(own))
        for dataset, own in zip(file.datasets, cached, strict=True)
    ]
    missing = sum(_count_missing(*pair) for pair in zip(expected, cached, strict=True))
    items: Sequence[Sequence[CachedItem] | Sequence[ExpectedItem]] = expected if missing else cached
    groups: list[BucketGroup] = group_into_buckets(file.datasets, items)
    count = DatasetCount(
        images=sum(len(group.items) for group in groups if group.frame_count is None),
        windows=sum(len(group.items) for group in groups if group.frame_count is not None),
        items_with_repeats=sum(len(group.items) * group.num_repeats for group in groups),
        batches=count_batches(groups),
        missing=missing,
    )
    return count, tuple(problems)


def _cached_items(dataset: Dataset, problems: list[Problem]) -> list[CachedItem]:
    items, found = find_cached_items(dataset)
    problems += [problem for problem in found if problem.severity == "warning"]  # "nothing is cached" is counted
    return items


def _expected_items(dataset: Dataset, problems: list[Problem], *, has_caches: bool) -> list[ExpectedItem]:
    """What the media give. A dataset of which only the caches are left can be trained on without them."""
    try:
        items, found = expected_items(dataset)
    except DatasetError:
        if has_caches:
            return []
        raise
    problems += found
    return items


def _count_missing(expected: Sequence[ExpectedItem], cached: Sequence[CachedItem]) -> int:
    there = {item.latent_path for item in cached}
    return sum(item.latent_path not in there for item in expected)


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
