"""Which blocks are swapped, and how many can be."""

import pytest

from backend.errors import OptionError
from backend.plan.block_swap import BlockSwap, largest_swap, swapped_blocks
from backend.plan.modules import TransformerShape

FULL = TransformerShape.full_size()
SMALL = TransformerShape(64, 2, 2, 2, 128, in_channels=16, text_width=32, pooled_width=24)


@pytest.mark.parametrize(
    ("blocks_to_swap", "doubles", "singles"),
    [(0, 0, 0), (1, 0, 3), (2, 1, 3), (20, 10, 21), (36, 18, 37), (38, 19, 39)],
)
def test_as_many_blocks_of_each_kind_are_swapped_as_in_musubi_tuner(blocks_to_swap, doubles, singles):
    names = swapped_blocks(FULL, blocks_to_swap)
    assert len(set(names)) == doubles + singles
    assert sum(name.startswith("double_blocks.") for name in names) == doubles


def test_swapped_blocks_are_spread_evenly_in_the_order_of_the_model():
    assert swapped_blocks(FULL, 6) == [
        *("double_blocks.3", "double_blocks.10", "double_blocks.16"),
        *(f"single_blocks.{index}" for index in (2, 8, 14, 20, 25, 31, 37)),
    ]


def test_the_embedders_come_before_the_blocks_and_together():
    assert BlockSwap(2, embedders=True).parts(FULL)[:2] == [("img_in", "txt_in"), ("double_blocks.10",)]


def test_more_blocks_than_there_are_are_refused_with_the_largest_number():
    assert (largest_swap(FULL), largest_swap(SMALL)) == (38, 0)
    with pytest.raises(OptionError) as raised:
        swapped_blocks(FULL, 39)
    assert str(raised.value) == (
        "blocks_to_swap is 39, which takes 19 double and 41 single blocks, but the transformer has 20 and 40 (at most "
        "38 can be swapped)"
    )
    with pytest.raises(OptionError, match="it is too small for that; leave blocks_to_swap empty"):
        swapped_blocks(SMALL, 1)
