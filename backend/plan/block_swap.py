"""Which parts of a transformer lie in CPU memory and visit the device, for a number of blocks to swap."""

from __future__ import annotations

from dataclasses import dataclass

from backend.errors import OptionError
from backend.plan.modules import TransformerShape


@dataclass(frozen=True)
class BlockSwap:
    """What visits the device, and how.

    blocks: as the option blocks_to_swap counts them. slots: how many are on the device at once. pinned: their memory is
    locked. embedders: those of image and text visit it, too.
    """

    blocks: int
    slots: int = 2
    pinned: bool = False
    embedders: bool = False

    def parts(self, shape: TransformerShape) -> list[tuple[str, ...]]:
        """The names of the modules that come and go together, in the order of their use. Raises OptionError."""
        blocks = [(name,) for name in swapped_blocks(shape, self.blocks)]
        return [("img_in", "txt_in"), *blocks] if self.embedders else blocks


def swapped_blocks(shape: TransformerShape, blocks_to_swap: int) -> list[str]:
    """The names of the swapped blocks in the order of the model, such as "double_blocks.3".

    As many of each kind as musubi-tuner swaps. They are spread evenly, so that each has the time of the blocks before
    it to come. Raises OptionError if the transformer has too few blocks.
    """
    if not blocks_to_swap:
        return []
    doubles, singles = _counts(blocks_to_swap)
    if not _fits(shape, blocks_to_swap):
        raise OptionError(
            f"blocks_to_swap is {blocks_to_swap}, which takes {doubles} double and {singles} single blocks, but the "
            f"transformer has {shape.double_blocks} and {shape.single_blocks}",
            hint=_way_out(shape),
            option="blocks_to_swap",
        )
    chosen = {"double_blocks": _spread(doubles, shape.double_blocks)}
    chosen["single_blocks"] = _spread(singles, shape.single_blocks)
    return [f"{kind}.{index}" for kind, indices in chosen.items() for index in indices]


def largest_swap(shape: TransformerShape) -> int:
    """The largest number of blocks to swap that the transformer has blocks for: 38 for the full size."""
    numbers = range(1, shape.double_blocks + shape.single_blocks + 1)
    return max((number for number in numbers if _fits(shape, number)), default=0)


def _counts(blocks_to_swap: int) -> tuple[int, int]:
    """Double and single blocks; a single block is less than half as large as a double one, so two count as one."""
    doubles = blocks_to_swap // 2
    return doubles, 2 * (blocks_to_swap - doubles) + 1


def _fits(shape: TransformerShape, blocks_to_swap: int) -> bool:
    doubles, singles = _counts(blocks_to_swap)
    return doubles <= shape.double_blocks and singles <= shape.single_blocks


def _way_out(shape: TransformerShape) -> str:
    largest = largest_swap(shape)
    return f"at most {largest} can be swapped" if largest else "it is too small for that; leave blocks_to_swap empty"


def _spread(count: int, total: int) -> list[int]:
    """So many of the numbers below total, evenly spread."""
    return [(2 * place + 1) * total // (2 * count) for place in range(count)]
