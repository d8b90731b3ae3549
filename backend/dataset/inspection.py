"""Inspection of a dataset: every picture and clip with its facts, bucket, windows, caches and what is doubtful."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from os.path import normcase
from pathlib import Path
from typing import Literal

from backend.config.dataset import Dataset
from backend.config.dataset_models import DatasetFile, Size
from backend.dataset.batches import BucketGroup, group_into_buckets
from backend.dataset.cached import CachedItem
from backend.dataset.caption_length import CaptionLimits
from backend.dataset.expected import ExpectedItem, items_of_media
from backend.dataset.file_index import FileIndex
from backend.dataset.item_warnings import ItemWarning, item_warnings
from backend.dataset.items import MediaItem, find_items, usable_items
from backend.dataset.media_facts import MediaFacts
from backend.dataset.read_ahead import map_ahead
from backend.dataset.same_content import same_content
from backend.dataset.training_items import cache_faults, caches_without_media, foreign_caches
from backend.dataset.windows import FrameWindow
from backend.errors import DatasetError, Problem

CacheState = Literal["cached", "missing", "stale", "none"]


@dataclass(frozen=True)
class ItemReport:
    """One picture or clip.

    dataset_number counts from 1. facts: None if it cannot be read. bucket: (width, height), None if it is not trained
    on. windows: of a clip. wanted: how many pictures or windows it gives for training; ready: how many are cached.
    cache: "cached" if all are; "stale" if a cache is there that was made from something else or is damaged, which
    cache_problems tell; "missing"; "none" if it gives nothing to cache.
    """

    dataset_number: int
    media: MediaItem
    facts: MediaFacts | None
    bucket: Size | None
    windows: tuple[FrameWindow, ...]
    wanted: int
    ready: int
    cache: CacheState
    cache_problems: tuple[Problem, ...]
    warnings: tuple[ItemWarning, ...]

    @property
    def path(self) -> Path:
        return self.media.path

    @property
    def caption(self) -> str | None:
        return self.media.caption


@dataclass(frozen=True)
class Inspection:
    """All of a dataset file. items: by dataset and file name, those that are left out as well.

    groups: what training sees, as the trainer makes batches of it once everything is cached; of a dataset whose media
    are gone, what is cached. problems: warnings that belong to no item.
    """

    items: tuple[ItemReport, ...]
    groups: tuple[BucketGroup[CachedItem | ExpectedItem], ...]
    problems: tuple[Problem, ...]

    @property
    def batches_per_epoch(self) -> int:
        return sum(group.batch_count for group in self.groups)


Progress = Callable[[int, int], None]
"""Called with the number of files looked at, and of all; what it raises ends the inspection."""


def inspect_datasets(
    file: DatasetFile,
    *,
    index: FileIndex,
    limits: CaptionLimits | None = None,
    encoder: str | None = None,
    workers: int = 2,
    progress: Progress = lambda _done, _total: None,
) -> Inspection:
    """Look at every file of the datasets; what the index knows of unchanged files is not read again.

    limits: what the text encoders take, estimated if not given. encoder: the autoencoder whose latents count, as
    `encoder_name` tells it; None for any. A dataset whose folder or list is missing is a problem, the others go on.
    The index is saved.
    """
    problems: list[Problem] = []
    media = [_items(number, dataset, problems) for number, dataset in enumerate(file.datasets, start=1)]
    _read_facts(media, index, workers=workers, progress=progress)
    expected = [_expected(dataset, own, index) for dataset, own in zip(file.datasets, media, strict=True)]
    wanted = {item.latent_path for own in expected for items in own.values() for item in items}
    reports, trained = [], []
    for number, (dataset, own, items) in enumerate(zip(file.datasets, media, expected, strict=True), start=1):
        reports += _reports(number, dataset, own, items, index=index, limits=limits, encoder=encoder)
        without_media = caches_without_media(dataset, index.header) if not own else None
        trained.append(without_media.expected if without_media else _in_order(items))
        problems += without_media.problems if without_media else foreign_caches(dataset, wanted)
    index.save()
    groups = tuple(group_into_buckets(file.datasets, trained))
    return Inspection(tuple(reports), groups, (*file.warnings, *problems))


def _items(number: int, dataset: Dataset, problems: list[Problem]) -> list[MediaItem]:
    try:
        return find_items(dataset)
    except DatasetError as error:
        problems += [
            Problem(f"dataset {number}: {each.message}", each.hint, each.option, "error") for each in error.problems
        ]
        return []


def _read_facts(found: Sequence[Sequence[MediaItem]], index: FileIndex, *, workers: int, progress: Progress) -> None:
    """Bring every file into the index."""
    media = [item for items in found for item in items]
    for done, _ in enumerate(map_ahead(partial(_facts, index=index), media, workers=workers), start=1):
        progress(done, len(media))


def _facts(item: MediaItem, index: FileIndex) -> MediaFacts | None:
    try:
        return index.facts(item.path, item.kind)
    except DatasetError:
        return None


def _expected(dataset: Dataset, media: Sequence[MediaItem], index: FileIndex) -> dict[Path, list[ExpectedItem]]:
    """What each picture or clip gives for training, in the order of `expected_items`; those that are left out lack."""
    usable, _ = usable_items(media)
    return {item.path: items_of_media(item, dataset, facts_of=index.facts)[0] for item in usable}


def _in_order(expected: dict[Path, list[ExpectedItem]]) -> list[ExpectedItem]:
    return [item for items in expected.values() for item in items]


def _reports(
    number: int,
    dataset: Dataset,
    media: Sequence[MediaItem],
    expected: dict[Path, list[ExpectedItem]],
    *,
    index: FileIndex,
    limits: CaptionLimits | None,
    encoder: str | None,
) -> Iterator[ItemReport]:
    faults = cache_faults(_in_order(expected), encoder=encoder, header_of=index.header)
    stems = Counter(normcase(item.stem) for item in media)
    same = same_content([item.path for item in media], index)
    for item in media:
        facts = _facts(item, index)
        doubts = item_warnings(
            item,
            dataset,
            index=index,
            limits=limits or CaptionLimits(),
            shares_stem=stems[normcase(item.stem)] > 1,
            same_as=same.get(item.path),
        )
        yield _report(number, item, expected.get(item.path, []), faults, doubts, facts)


def _report(
    number: int,
    item: MediaItem,
    expected: Sequence[ExpectedItem],
    faults: dict[Path, Problem | None],
    warnings: tuple[ItemWarning, ...],
    facts: MediaFacts | None,
) -> ItemReport:
    faulty = [faults[each.latent_path] for each in expected if each.latent_path in faults]
    problems = tuple(dict.fromkeys(fault for fault in faulty if fault is not None))
    cache: CacheState = "stale" if problems else "missing" if faulty else "cached" if expected else "none"
    return ItemReport(
        dataset_number=number,
        media=item,
        facts=facts,
        bucket=expected[0].bucket if expected else None,
        windows=tuple(each.window for each in expected if each.window is not None),
        wanted=len(expected),
        ready=len(expected) - len(faulty),
        cache=cache,
        cache_problems=problems,
        warnings=warnings,
    )
