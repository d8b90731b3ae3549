"""Inspection of a dataset: every picture and clip with its facts, bucket, windows, caches and what is doubtful."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
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
from backend.dataset.items import MediaItem, find_items, unused_controls, usable_items
from backend.dataset.media_facts import Kind, MediaFacts
from backend.dataset.media_files import OTHER_MEDIA, files_of, is_folder
from backend.dataset.origin import ANY_ENCODERS, Encoders
from backend.dataset.read_ahead import map_ahead
from backend.dataset.same_content import same_content
from backend.dataset.training_items import cache_faults, caches_without_media, foreign_caches
from backend.dataset.windows import FrameWindow
from backend.errors import DatasetError, Problem

CacheState = Literal["cached", "missing", "stale", "none"]
Facts = Mapping[Path, MediaFacts | DatasetError]


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


Stage = Literal["files", "caches", "copies"]
Progress = Callable[[Stage, int, int], None]
"""Called with what is looked at, how many were, and how many there are; what it raises ends the inspection. files: for
their facts; caches: for what they were made from; copies: files of one size, for the same content."""


def inspect_datasets(
    file: DatasetFile,
    *,
    index: FileIndex,
    limits: CaptionLimits | None = None,
    encoders: Encoders = ANY_ENCODERS,
    workers: int = 2,
    progress: Progress = lambda _stage, _done, _total: None,
) -> Inspection:
    """Look at every file of the datasets; what the index knows of unchanged files is not read again.

    limits: what the text encoders take, estimated if not given. encoders: those whose caches count.
    A dataset whose folder or list is missing is a problem, the others go on.
    The index is saved, also when progress ends the inspection.
    """
    problems: list[Problem] = []
    with _collector(running=False):
        media = [_items(number, dataset, index, problems) for number, dataset in enumerate(file.datasets, start=1)]
        facts = _all_facts([item for own in media for item in own], index, workers=workers, progress=progress)
        try:
            inspection = _inspect(
                file,
                media,
                facts,
                index=index,
                limits=limits or CaptionLimits(),
                encoders=encoders,
                progress=progress,
            )
        finally:
            index.save()
        return replace(inspection, problems=(*file.warnings, *problems, *inspection.problems))


@contextmanager
def _collector(*, running: bool) -> Iterator[None]:
    """With or without Python's search for cycles, which takes a third of the time of 20,000 files where none are."""
    was_running = gc.isenabled()
    (gc.enable if running else gc.disable)()
    try:
        yield
    finally:
        (gc.enable if was_running else gc.disable)()


def _inspect(
    file: DatasetFile,
    media: Sequence[Sequence[MediaItem]],
    facts: Facts,
    *,
    index: FileIndex,
    limits: CaptionLimits,
    encoders: Encoders,
    progress: Progress,
) -> Inspection:
    """The inspection of these items of each dataset."""
    expected = [_expected(dataset, own, facts) for dataset, own in zip(file.datasets, media, strict=True)]
    wanted = {item.latent_path for own in expected for items in own.values() for item in items}
    total = sum(len(items) for own in expected for items in own.values())
    looked_at = count(1)
    reports, trained, problems = [], [], []
    for number, (dataset, own, items) in enumerate(zip(file.datasets, media, expected, strict=True), start=1):
        faults = cache_faults(_told(items, progress, looked_at, total), encoders=encoders, header_of=index.header)
        warnings = _warnings(dataset, own, facts, index, limits, partial(progress, "copies"))
        reports += [
            _report(number, item, items.get(item.path, []), faults, next(warnings), facts[item.path]) for item in own
        ]
        without_media = None if own else caches_without_media(dataset, index.header)
        trained.append(without_media.expected if without_media else _in_order(items))
        problems += without_media.problems if without_media else foreign_caches(dataset, wanted)
        problems += [*_of_other_kinds(dataset), *unused_controls(own)]
    return Inspection(tuple(reports), tuple(group_into_buckets(file.datasets, trained)), tuple(problems))


def _items(number: int, dataset: Dataset, index: FileIndex, problems: list[Problem]) -> list[MediaItem]:
    try:
        return find_items(dataset, caption_of=index.caption)
    except DatasetError as error:
        problems += [replace(each, message=f"dataset {number}: {each.message}") for each in error.problems]
        return []


def _of_other_kinds(dataset: Dataset) -> list[Problem]:
    """A warning if pictures or clips lie in the folder that are never looked at."""
    folder = dataset.media_directory
    if folder is None or not is_folder(folder):
        return []
    counts = Counter(path.suffix.lower() for path in files_of(folder, OTHER_MEDIA))
    if not counts:
        return []
    listed = ", ".join(f"{count} {ending}" for ending, count in sorted(counts.items()))
    hint = "convert them to .png or .mp4"
    return [
        Problem(f"{folder}: not trained on, of kinds that are not read: {listed}", hint, "dataset_config", "warning")
    ]


def _all_facts(media: Sequence[MediaItem], index: FileIndex, *, workers: int, progress: Progress) -> Facts:
    """The facts of every file, or why there are none; those that the index does not know are read."""
    facts = {item.path: index.known_facts(item.path, item.kind) for item in media}
    unknown = list({item.path: item for item in media if facts[item.path] is None}.values())
    if unknown:
        with _collector(running=True):  # the libraries that read files may leave cycles behind
            _read(unknown, facts, index, workers=workers, progress=progress)
    return {path: each for path, each in facts.items() if each is not None}


def _read(
    media: Sequence[MediaItem],
    facts: dict[Path, MediaFacts | DatasetError | None],
    index: FileIndex,
    *,
    workers: int,
    progress: Progress,
) -> None:
    """Add the facts of these files, the last that are wanting, to the others; what was read is saved in any case."""
    known = len(facts) - len(media)
    found = map_ahead(partial(_facts, index=index), media, workers=workers)
    try:
        for done, (item, each) in enumerate(zip(media, found, strict=True), start=known + 1):
            facts[item.path] = each
            progress("files", done, len(facts))
    finally:
        index.save()


def _facts(item: MediaItem, index: FileIndex) -> MediaFacts | DatasetError:
    """The facts, or why there are none."""
    try:
        return index.facts(item.path, item.kind)
    except DatasetError as error:
        return error


def _expected(dataset: Dataset, media: Sequence[MediaItem], facts: Facts) -> dict[Path, list[ExpectedItem]]:
    """What each picture or clip gives for training, in the order of `expected_items`; those that are left out lack."""

    def facts_of(path: Path, _kind: Kind, *, limit: int | None = None) -> MediaFacts:
        del limit
        found = facts[path]
        if isinstance(found, DatasetError):
            raise found
        return found

    usable, _ = usable_items(media)
    return {item.path: items_of_media(item, dataset, facts_of=facts_of)[0] for item in usable}


def _in_order(expected: Mapping[Path, list[ExpectedItem]]) -> list[ExpectedItem]:
    return [item for items in expected.values() for item in items]


def _told(
    expected: Mapping[Path, list[ExpectedItem]], progress: Progress, number: Iterator[int], total: int
) -> Iterator[ExpectedItem]:
    """The items in their order, each told when its caches have been looked at."""
    for item in _in_order(expected):
        yield item
        progress("caches", next(number), total)


def _warnings(
    dataset: Dataset,
    media: Sequence[MediaItem],
    facts: Facts,
    index: FileIndex,
    limits: CaptionLimits,
    progress: Callable[[int, int], None],
) -> Iterator[tuple[ItemWarning, ...]]:
    """What is doubtful about each item."""
    stems = Counter(normcase(item.stem) for item in media)
    same = same_content([item.path for item in media], index, progress=progress)
    for item in media:
        shares_stem = stems[normcase(item.stem)] > 1
        yield item_warnings(
            item, facts[item.path], dataset, limits=limits, shares_stem=shares_stem, same_as=same.get(item.path)
        )


def _report(
    number: int,
    item: MediaItem,
    expected: Sequence[ExpectedItem],
    faults: Mapping[Path, Problem | None],
    warnings: tuple[ItemWarning, ...],
    facts: MediaFacts | DatasetError,
) -> ItemReport:
    faulty = [faults[each.latent_path] for each in expected if each.latent_path in faults]
    problems = tuple(dict.fromkeys(fault for fault in faulty if fault is not None))
    cache: CacheState = "stale" if problems else "missing" if faulty else "cached" if expected else "none"
    return ItemReport(
        dataset_number=number,
        media=item,
        facts=facts if isinstance(facts, MediaFacts) else None,
        bucket=expected[0].bucket if expected else None,
        windows=tuple(each.window for each in expected if each.window is not None),
        wanted=len(expected),
        ready=len(expected) - len(faulty),
        cache=cache,
        cache_problems=problems,
        warnings=warnings,
    )
