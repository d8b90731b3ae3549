"""Batches: everything is seen, only equal shapes together, and always in the same order."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from backend.config.dataset_models import ImageDataset
from backend.dataset.batches import count_batches, epoch_batches, group_into_buckets
from backend.dataset.cached import CachedItem

SHAPES = [((64, 64), None), ((80, 48), None), ((64, 64), 9), ((64, 64), 25)]


def item(index: int, bucket: tuple[int, int] = (64, 64), frame_count: int | None = None) -> CachedItem:
    return CachedItem(f"{index:03d}", Path(f"{index}"), Path(f"{index}"), bucket, frame_count)


datasets_with_items = st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 4), st.lists(st.sampled_from(SHAPES), max_size=12)), max_size=3
)


def grouped(datasets: list) -> list:
    settings = [
        ImageDataset(image_directory=str(index), batch_size=batch_size, num_repeats=repeats)
        for index, (batch_size, repeats, _) in enumerate(datasets)
    ]
    items = [[item(100 * k + n, *shape) for n, shape in enumerate(shapes)] for k, (_, _, shapes) in enumerate(datasets)]
    return group_into_buckets(settings, items)


@given(datasets_with_items, st.integers(0, 2**63), st.integers(0, 1000))
def test_an_epoch_sees_every_item_as_often_as_it_is_repeated(datasets: list, seed: int, epoch: int) -> None:
    groups = grouped(datasets)

    batches = epoch_batches(groups, seed=seed, epoch=epoch)

    assert len(batches) == count_batches(groups)
    seen = Counter(each for batch in batches for each in batch.items)
    assert seen == {each: group.num_repeats for group in groups for each in group.items}
    for batch in batches:
        (group,) = [group for group in groups if batch.items[0] in group.items]
        assert len(batch.items) <= group.batch_size
        assert all(each in group.items for each in batch.items)


@given(datasets_with_items)
def test_groups_come_in_a_fixed_order(datasets: list) -> None:
    keys = [(group.dataset_number, group.bucket, group.frame_count or 0) for group in grouped(datasets)]

    assert keys == sorted(set(keys))


def test_the_order_is_that_of_seed_and_epoch_alone() -> None:
    groups = grouped([(2, 3, SHAPES * 3)])
    order = epoch_batches(groups, seed=42, epoch=1)
    random.seed(0)

    assert epoch_batches(groups, seed=42, epoch=1) == order
    assert epoch_batches(groups, seed=42, epoch=2) != order
    assert epoch_batches(groups, seed=43, epoch=1) != order


def test_another_process_finds_the_same_order() -> None:
    program = (
        "from tests.dataset.test_batches import *\n"
        "print([[each.stem for each in batch.items] for batch in "
        "epoch_batches(grouped([(2, 3, SHAPES * 3)]), seed=42, epoch=1)])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    batches = epoch_batches(grouped([(2, 3, SHAPES * 3)]), seed=42, epoch=1)

    assert run.stdout.strip() == str([[each.stem for each in batch.items] for batch in batches])


def test_a_number_of_datasets_and_of_item_lists_that_differ_is_refused() -> None:
    try:
        group_into_buckets([], [[item(1)]])
    except ValueError as error:
        assert str(error) == "0 datasets, but items of 1"
    else:
        raise AssertionError("a ValueError was wanted")
