"""How much a training step computes: what the time of one training tells of another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backend.dataset.count import BucketCount
from backend.plan.activations import Tokens, learning_blocks
from backend.plan.adapters import AdapterSize
from backend.plan.memory import TEXT_TOKENS
from backend.plan.modules import LinearModule, TransformerShape, block_linears


def tokens_of(bucket: BucketCount, *, items: int) -> Tokens:
    """Tokens of so many items of a bucket; each caption is taken for the longest."""
    frames, height, width = bucket.latent_size
    return Tokens(image=items * frames * (height // 2) * (width // 2), text=items * TEXT_TOKENS)


def largest_tokens(buckets: Iterable[BucketCount]) -> Tokens:
    """Tokens of the largest micro-batch; none without buckets."""
    each = [tokens_of(bucket, items=bucket.largest_batch) for bucket in buckets]
    return max(each, key=lambda tokens: tokens.all, default=Tokens(0, 0))


def step_operations(
    shape: TransformerShape,
    sizes: Mapping[str, AdapterSize],
    *,
    buckets: Iterable[BucketCount],
    micro_batches: float,
    checkpointing: bool,
) -> float:
    """Floating point operations of the matrix products of a step of one process, on average over an epoch.

    micro_batches: of this process in a step.
    """
    buckets = list(buckets)
    operations = sum(
        bucket.items * bucket.repeats * _item_operations(shape, sizes, tokens_of(bucket, items=1), checkpointing)
        for bucket in buckets
    )
    batches = sum(bucket.batches for bucket in buckets)
    return micro_batches * operations / batches if batches else 0.0


def _item_operations(
    shape: TransformerShape, sizes: Mapping[str, AdapterSize], tokens: Tokens, checkpointing: bool
) -> float:
    """Of one item: forward through all blocks, backward through those that gradients pass."""
    learning = set(learning_blocks(shape, sizes))
    attention = 4.0 * tokens.all**2 * shape.hidden_size * (shape.double_blocks + shape.single_blocks)
    passing = len(learning) / max(1, shape.double_blocks + shape.single_blocks)
    total = attention * (1 + passing * (3 if checkpointing else 2))  # the backward pass takes two products for one
    for linear in block_linears(shape):
        product = 2.0 * _rows(linear, tokens) * linear.in_features * linear.out_features
        learns = ".".join(linear.name.split(".")[:2]) in learning
        total += product * (1 + learns * (2 if checkpointing else 1))
        if size := sizes.get(linear.name):
            total += 6.0 * _rows(linear, tokens) * size.parameters
    return total


def _rows(linear: LinearModule, tokens: Tokens) -> int:
    """How many rows go through a Linear: tokens, or one for the conditioning vector."""
    if "mod" in linear.name:
        return 1
    if linear.name.startswith("single"):
        return tokens.all
    return tokens.image if ".img_" in linear.name else tokens.text
