"""How many numbers the parts of a transformer hold, and how many bytes that makes on the device and beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.plan.block_swap import BlockSwap
from backend.plan.modules import LinearModule, TransformerShape, block_linears

TIME_FEATURES = 256
REFINER_BLOCKS = 2
PATCH = 4
"""Latent pixels of a frame that make one image token."""

FP8_SCALE_BYTES = 4 / 64
"""A float32 for every 64 weights."""


@dataclass(frozen=True)
class WeightNumbers:
    """Numbers of one part. linear: weights of Linears inside a block, which 8 bits can hold; other: all the rest."""

    linear: int
    other: int


@dataclass(frozen=True)
class WeightBytes:
    """on_device: with the places for swapped parts; in_cpu_memory: the swapped parts; largest: the largest block."""

    on_device: int
    in_cpu_memory: int
    largest: int


def weight_numbers(shape: TransformerShape) -> dict[str, WeightNumbers]:
    """The numbers of each part: img_in, txt_in, rest, and every block, "double_blocks.0"."""
    width, head = shape.hidden_size, shape.head_dim
    linears: dict[str, list[LinearModule]] = {}
    for linear in block_linears(shape):
        linears.setdefault(".".join(linear.name.split(".")[:2]), []).append(linear)
    blocks = {
        name: WeightNumbers(
            linear=sum(linear.in_features * linear.out_features for linear in own),
            other=sum(linear.out_features for linear in own) + (4 if name.startswith("double") else 2) * head,
        )
        for name, own in linears.items()
    }
    conditioning = _mlp(TIME_FEATURES, width) * 2 + _mlp(shape.pooled_width, width)
    final = _linear(width, 16 * PATCH) + _linear(width, 2 * width)
    return {
        "img_in": WeightNumbers(0, _linear(shape.in_channels * PATCH, width)),
        "txt_in": WeightNumbers(0, _refiner(shape)),
        "rest": WeightNumbers(0, conditioning + final),
        **blocks,
    }


def weight_bytes(
    shape: TransformerShape, *, number_bytes: int, float8: bool = False, scaled: bool = False, swap: BlockSwap | None
) -> WeightBytes:
    """Where the frozen weights lie. number_bytes: of a number that is not in 8 bits.

    Raises OptionError for more swapped blocks than there are.
    """
    linear_bytes = 1 + (FP8_SCALE_BYTES if scaled else 0) if float8 else number_bytes
    sizes = {
        name: round(numbers.linear * linear_bytes) + numbers.other * number_bytes
        for name, numbers in weight_numbers(shape).items()
    }
    parts = swap.parts(shape) if swap else []
    away = [sum(sizes[name] for name in part) for part in parts]
    places = max(away, default=0) * min(swap.slots if swap else 0, len(away))
    return WeightBytes(
        on_device=sum(sizes.values()) - sum(away) + places,
        in_cpu_memory=sum(away),
        largest=max(size for name, size in sizes.items() if "blocks" in name),
    )


def linear_weights(shape: TransformerShape, blocks: Sequence[str]) -> int:
    """The weights of the Linears in these blocks."""
    numbers = weight_numbers(shape)
    return sum(numbers[name].linear for name in blocks)


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _mlp(inputs: int, width: int) -> int:
    return _linear(inputs, width) + _linear(width, width)


def _refiner(shape: TransformerShape) -> int:
    """The token refiner: embedders and two blocks."""
    width = shape.hidden_size
    block = _linear(width, 3 * width) + 2 * _linear(width, width) + _linear(width, shape.mlp_hidden)
    block += _linear(shape.mlp_hidden, width) + _linear(width, width) + 4 * width
    embedders = _linear(shape.text_width, width) + _mlp(TIME_FEATURES, width) + _mlp(shape.text_width, width)
    return embedders + REFINER_BLOCKS * block
