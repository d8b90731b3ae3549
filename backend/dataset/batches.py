"""Batches: which items are learned from together, and in which order, for every epoch the same way."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from backend.config.dataset_models import DatasetOptions, Size


class BucketedItem(Protocol):
    """What grouping needs to know of an item, cached or still to be cached."""

    @property
    def stem(self) -> str: ...
    @property
    def bucket(self) -> Size: ...
    @property
    def frame_count(self) -> int | None: ...


Item = TypeVar("Item", bound=BucketedItem)


@dataclass(frozen=True)
class BucketGroup(Generic[Item]):
    """Items of one dataset whose latents have the same shape; frame_count is None for pictures."""

    dataset_number: int
    bucket: Size
    frame_count: int | None
    items: tuple[Item, ...]
    num_repeats: int
    batch_size: int

    @property
    def batch_count(self) -> int:
        return -(-len(self.items) * self.num_repeats // self.batch_size)


@dataclass(frozen=True)
class Batch(Generic[Item]):
    """Items that one forward pass learns from; the last batch of a group may be smaller than batch_size."""

    items: tuple[Item, ...]


def group_into_buckets(datasets: Sequence[DatasetOptions], items: Sequence[Iterable[Item]]) -> list[BucketGroup[Item]]:
    """The items of each dataset by shape. items[i] belong to datasets[i]; dataset_number counts from 1.

    Groups are ordered by dataset, bucket and frame count; items keep their order.
    """
    if len(datasets) != len(items):
        raise ValueError(f"{len(datasets)} datasets, but items of {len(items)}")
    return [
        group
        for number, (dataset, own_items) in enumerate(zip(datasets, items, strict=True), start=1)
        for group in _groups_of(number, dataset, own_items)
    ]


def count_batches(groups: Iterable[BucketGroup[Item]]) -> int:
    """How many batches an epoch has."""
    return sum(group.batch_count for group in groups)


def epoch_batches(groups: Iterable[BucketGroup[Item]], *, seed: int, epoch: int) -> list[Batch[Item]]:
    """The batches of an epoch in their order; the same for the same groups, seed and epoch on every machine."""
    generator = random.Random(f"{seed} {epoch}")  # a text seeds by its SHA-512, so neighbours share nothing
    batches = [batch for group in groups for batch in _shuffled_batches(group, generator)]
    generator.shuffle(batches)
    return batches


def _groups_of(number: int, dataset: DatasetOptions, items: Iterable[Item]) -> list[BucketGroup[Item]]:
    by_shape: dict[tuple[Size, int | None], list[Item]] = {}
    for item in items:
        by_shape.setdefault((item.bucket, item.frame_count), []).append(item)
    return [
        BucketGroup(number, bucket, frame_count, tuple(members), dataset.num_repeats, dataset.batch_size)
        for (bucket, frame_count), members in sorted(
            by_shape.items(), key=lambda entry: (entry[0][0], entry[0][1] or 0)
        )
    ]


def _shuffled_batches(group: BucketGroup[Item], generator: random.Random) -> list[Batch[Item]]:
    entries = list(group.items) * group.num_repeats
    generator.shuffle(entries)
    return [
        Batch(tuple(entries[start : start + group.batch_size])) for start in range(0, len(entries), group.batch_size)
    ]
