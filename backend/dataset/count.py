"""Counting a dataset before a training: pictures, windows, batches, and what is still to be cached."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from backend.config.dataset import Dataset, read_dataset_file
from backend.dataset.batches import BucketGroup, count_batches, group_into_buckets
from backend.dataset.file_index import FileIndex
from backend.dataset.origin import ANY_ENCODERS, Encoders
from backend.dataset.training_items import find_training_items
from backend.errors import Problem


@dataclass(frozen=True)
class BucketCount:
    """Items of one shape. width, height: in pixels. frames: None for pictures. items: without repeats."""

    width: int
    height: int
    frames: int | None
    items: int
    repeats: int
    batches: int
    batch_size: int

    @property
    def latent_size(self) -> tuple[int, int, int]:
        """Frames, height and width of an item's latents."""
        return ((self.frames or 1) - 1) // 4 + 1, self.height // 8, self.width // 8

    @property
    def largest_batch(self) -> int:
        """Items of the largest batch, which may be smaller than wanted."""
        return min(self.batch_size, self.items * self.repeats)


@dataclass(frozen=True)
class DatasetCount:
    """What a dataset gives for one epoch.

    missing_names: caches of latents of the pictures and windows whose caches are not there or not usable.
    """

    images: int
    windows: int
    items_with_repeats: int
    batches: int
    missing_names: tuple[str, ...]
    buckets: tuple[BucketCount, ...] = ()

    @property
    def missing(self) -> int:
        """How many pictures and windows are still to be cached."""
        return len(self.missing_names)


def count_dataset(path: Path, *, encoders: Encoders = ANY_ENCODERS) -> tuple[DatasetCount, tuple[Problem, ...]]:
    """The count of a dataset file as the trainer will see it, and what is doubtful about it, as warnings.

    What is not cached yet, or not by these encoders, is counted as if it were. Counting again is free as long as no
    file of the dataset was added, removed or written to. Raises DatasetError for mistakes in the file.
    """
    datasets = read_dataset_file(path).datasets
    return _count(path.absolute(), encoders, _changed_at(path), tuple(map(_stamp, datasets)))


@functools.lru_cache(maxsize=16)
def _count(
    path: Path, encoders: Encoders, _changed: int, _stamps: tuple[int, ...]
) -> tuple[DatasetCount, tuple[Problem, ...]]:
    file = read_dataset_file(path)
    index = _index()
    training = find_training_items(file.datasets, encoders=encoders, facts_of=index.facts, header_of=index.header)
    groups: list[BucketGroup] = group_into_buckets(file.datasets, [each.expected for each in training])
    count = DatasetCount(
        images=sum(len(group.items) for group in groups if group.frame_count is None),
        windows=sum(len(group.items) for group in groups if group.frame_count is not None),
        items_with_repeats=sum(len(group.items) * group.num_repeats for group in groups),
        batches=count_batches(groups),
        missing_names=tuple(name for each in training for name in each.missing_names()),
        buckets=tuple(_bucket(group) for group in groups),
    )
    return count, (*file.warnings, *(problem for each in training for problem in each.problems))


@functools.cache
def _index() -> FileIndex:
    """What was read of files before, so that of 20,000 only those are read again that have changed."""
    return FileIndex()


def _bucket(group: BucketGroup) -> BucketCount:
    width, height = group.bucket
    return BucketCount(
        width, height, group.frame_count, len(group.items), group.num_repeats, group.batch_count, group.batch_size
    )


def _stamp(dataset: Dataset) -> int:
    """A number that changes with any file that the count depends on.

    Caches are replaced as whole files, which their folder tells; captions are also written in place.
    """
    media = dataset.jsonl_file or dataset.media_directory
    cache = dataset.cache_folder
    return hash((media.absolute(), _changed_at(media), _files_changed_at(media), cache.absolute(), _changed_at(cache)))


def _files_changed_at(folder: Path) -> frozenset[tuple[str, int]]:
    try:
        return frozenset((path.name, _changed_at(path)) for path in folder.iterdir())
    except OSError:  # a list, or no longer there
        return frozenset()


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
