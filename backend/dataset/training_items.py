"""Training items: what a training learns from, and what of the dataset is left out; plan and trainer both ask here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from backend.config.dataset import Dataset
from backend.dataset.cache_header import HeaderOf, read_cache_header
from backend.dataset.cached import (
    CACHE_AGAIN,
    CachedItem,
    find_cached_items,
    latent_files,
    latent_problem,
    text_problem,
)
from backend.dataset.expected import ExpectedItem, expected_items
from backend.dataset.items import has_media, unused_controls
from backend.dataset.media_facts import FactsOf, read_facts
from backend.dataset.origin import ANY_ENCODERS, Encoders
from backend.errors import Problem

MOST_NAMED = 20
"""So many caches of a dataset that cannot be used are named each, the others are counted."""


@dataclass(frozen=True)
class TrainingItems:
    """The items of one dataset.

    ready: those that can be trained on now. expected: those that can be once everything is cached, by stem and window.
    problems: warnings about media and caches that are left out; what is merely not cached yet is not among them.
    """

    ready: tuple[CachedItem, ...]
    expected: tuple[CachedItem | ExpectedItem, ...]
    problems: tuple[Problem, ...]

    def missing_names(self) -> list[str]:
        """The caches of latents of those that are expected, but not ready."""
        there = {item.latent_path for item in self.ready}
        return [item.latent_path.name for item in self.expected if item.latent_path not in there]

    def missing_problems(self) -> list[Problem]:
        """A warning that names the items which a training that starts now does without."""
        names = self.missing_names()
        if not names:
            return []
        return [_warning(f"not cached, so not trained on: {_listed(names, len(self.expected))}", CACHE_AGAIN)]


def find_training_items(
    datasets: Sequence[Dataset],
    *,
    encoders: Encoders = ANY_ENCODERS,
    facts_of: FactsOf = read_facts,
    header_of: HeaderOf = read_cache_header,
) -> list[TrainingItems]:
    """The items of each dataset.

    The media decide: a cache that belongs to none of them, or was made from another caption or file, or by another
    encoder, is named and left out. A dataset whose media are gone, all of them, is what is cached of it, by whatever
    encoder. Raises DatasetError as find_items does.
    """
    # While something is cached a missing folder is no mistake; else expected_items tells what is wrong with it.
    found = ((index, caches_without_media(dataset, header_of)) for index, dataset in enumerate(datasets))
    cached = {index: items for index, items in found if items}
    expected = {
        index: expected_items(dataset, facts_of=facts_of)
        for index, dataset in enumerate(datasets)
        if index not in cached
    }
    wanted = {item.latent_path for items, _ in expected.values() for item in items}
    return [
        cached[index]
        if index in cached
        else _of_media(dataset, *expected[index], wanted=wanted, encoders=encoders, header_of=header_of)
        for index, dataset in enumerate(datasets)
    ]


def cache_faults(
    expected: Iterable[ExpectedItem], *, encoders: Encoders = ANY_ENCODERS, header_of: HeaderOf = read_cache_header
) -> dict[Path, Problem | None]:
    """What is wrong with the items that cannot be trained on, by latent cache; None where a cache is not there yet."""
    text_header_of = cache(header_of)  # shared by a clip's windows
    faults: dict[Path, Problem | None] = {}
    for item in expected:
        latents, text = header_of(item.latent_path), text_header_of(item.text_path)
        if latents.is_missing or text.is_missing:
            faults[item.latent_path] = None
            continue
        fault = latent_problem(
            item.latent_path,
            bucket=item.bucket,
            frame_count=item.frame_count,
            origin=item.origin,
            encoder=encoders.vae,
            header=latents,
        )
        fault = fault or text_problem(item.text_path, caption=item.media.caption, encoders=encoders.texts, header=text)
        if fault:
            faults[item.latent_path] = fault
    return faults


def caches_without_media(dataset: Dataset, header_of: HeaderOf = read_cache_header) -> TrainingItems | None:
    """Everything that is cached; None if media are there or nothing is cached."""
    if has_media(dataset):
        return None
    items, problems = find_cached_items(dataset, header_of=header_of)
    return TrainingItems(tuple(items), tuple(items), tuple(problems)) if items else None


def _of_media(
    dataset: Dataset,
    expected: Sequence[ExpectedItem],
    left_out: Iterable[Problem],
    *,
    wanted: Collection[Path],
    encoders: Encoders,
    header_of: HeaderOf,
) -> TrainingItems:
    """The caches of what the media give. wanted: latent caches of all datasets, as they may share a folder."""
    faults = cache_faults(expected, encoders=encoders, header_of=header_of)
    ready = [
        CachedItem(item.stem, item.latent_path, item.text_path, item.bucket, item.frame_count)
        for item in expected
        if item.latent_path not in faults
    ]
    unusable = _named(dict.fromkeys(fault for fault in faults.values() if fault is not None).keys(), dataset)
    controls = unused_controls(dict.fromkeys(item.media for item in expected))
    problems = (*left_out, *unusable, *controls, *foreign_caches(dataset, wanted))
    return TrainingItems(tuple(ready), tuple(expected), problems)


def _named(faults: Collection[Problem], dataset: Dataset) -> list[Problem]:
    """The first MOST_NAMED faults, and how many others there are: with another encoder it is every cache."""
    first, others = list(faults)[:MOST_NAMED], len(faults) - MOST_NAMED
    if others <= 0:
        return first
    return [*first, _warning(f"{dataset.cache_folder}: {others} other caches cannot be used", CACHE_AGAIN)]


def foreign_caches(dataset: Dataset, wanted: Collection[Path]) -> list[Problem]:
    """A warning if the cache folder holds latents that none of the wanted items has."""
    present = [path for path, _ in latent_files(dataset)]
    foreign = [path.name for path in present if path not in wanted]
    if not foreign:
        return []
    message = f"{dataset.cache_folder}: cached, but not in the dataset: {_listed(foreign, len(present))}"
    return [_warning(f"{message}; not trained on", "delete these files if nothing else needs them")]


def _listed(names: list[str], total: int) -> str:
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names)} of {total}: {shown}"


def _warning(message: str, hint: str) -> Problem:
    return Problem(message, hint, "dataset_config", "warning")
