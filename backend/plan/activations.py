"""What a training step keeps of its activations for the backward pass, in bytes, from the sizes of the model's tensors.

Every number stands for a tensor that autograd keeps; benchmarks/memory.py counts the real ones and compares.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from backend.plan.modules import TransformerShape

FLOAT32 = 4


@dataclass(frozen=True)
class Tokens:
    """Tokens of a micro-batch, of all its items together."""

    image: int
    text: int

    @property
    def all(self) -> int:
        return self.image + self.text


@dataclass(frozen=True)
class Precision:
    """What the blocks compute in. number_bytes: of a number there. autocast: what is trained is float32, and cast."""

    number_bytes: int = 2
    autocast: bool = True

    @property
    def adapter_bytes(self) -> int:
        """Of a number of a trained Linear's input; without autocast the adapter computes in float32."""
        return self.number_bytes if self.autocast else FLOAT32


@dataclass(frozen=True)
class Activations:
    """Bytes. kept: by all blocks, until the backward pass reaches them. passing: beside that, at the highest point.

    in_cpu_memory: the blocks' inputs that are kept there.
    """

    kept: int
    passing: int
    in_cpu_memory: int = 0


def activation_bytes(
    shape: TransformerShape,
    trained: Collection[str],
    *,
    tokens: Tokens,
    rank: int,
    precision: Precision,
    checkpointing: bool = False,
    inputs_in_cpu_memory: bool = False,
) -> Activations:
    """What the micro-batch's activations take at the highest point of a step.

    trained: names of the Linears with an adapter. Blocks before the first of them keep nothing. checkpointing: a block
    keeps its input only, and all of one block is there while that is computed again.
    """
    blocks = learning_blocks(shape, trained)
    per_block = [_block(name, shape, trained, tokens=tokens, rank=rank, precision=precision) for name in blocks]
    width, number = shape.hidden_size, precision.number_bytes
    backward = number * (width + 2 * shape.mlp_hidden) * tokens.all  # gradients inside the block that is at work
    ends = FLOAT32 * width * tokens.all  # the last block's output, cut and normed
    if not checkpointing:
        return Activations(sum(per_block), backward + ends)
    inputs = number * width * tokens.all
    away = max(0, len(blocks) - 1) if inputs_in_cpu_memory else 0  # that of the block at work is on the device
    passing = max(per_block, default=0) + backward + ends
    return Activations(inputs * (len(blocks) - away), passing, inputs * away)


def learning_blocks(shape: TransformerShape, trained: Collection[str]) -> list[str]:
    """The blocks that gradients pass: from the first one with a trained Linear to the last of the model."""
    blocks = [f"double_blocks.{index}" for index in range(shape.double_blocks)]
    blocks += [f"single_blocks.{index}" for index in range(shape.single_blocks)]
    with_trained = {".".join(name.split(".")[:2]) for name in trained}
    first = next((place for place, name in enumerate(blocks) if name in with_trained), len(blocks))
    return blocks[first:]


def _block(
    name: str, shape: TransformerShape, trained: Collection[str], *, tokens: Tokens, rank: int, precision: Precision
) -> int:
    """Bytes that a block keeps."""
    if name.startswith("single"):
        return tokens.all * _single_block(name, shape, trained, rank=rank, precision=precision)
    image, text = (
        _stream(f"{name}.{stream}", shape, trained, rank=rank, precision=precision) for stream in ("img", "txt")
    )
    return tokens.image * image + tokens.text * text


def _single_block(
    name: str, shape: TransformerShape, trained: Collection[str], *, rank: int, precision: Precision
) -> int:
    """Bytes a token. Queries, keys, values and the MLP's input lie in one tensor, which stays as a whole."""
    width, mlp, number = shape.hidden_size, shape.mlp_hidden, precision.number_bytes
    kept = number * width
    kept += number * (3 * width + mlp)
    kept += number * 3 * width  # queries and keys turned, and what attention gives
    kept += _statistics(shape)
    inputs = {f"{name}.linear1": width, f"{name}.linear2": width + mlp}
    return kept + _adapters(inputs, trained, rank=rank, precision=precision)


def _stream(name: str, shape: TransformerShape, trained: Collection[str], *, rank: int, precision: Precision) -> int:
    """Bytes a token of the image's or the text's half of a double block. Attention's output is the Linear's input."""
    width, mlp, number = shape.hidden_size, shape.mlp_hidden, precision.number_bytes
    kept = number * 2 * width
    kept += number * 3 * width  # queries, keys, values as a whole
    kept += number * 4 * width  # queries and keys turned, values, and what attention gives
    kept += number * mlp
    kept += _statistics(shape)
    inputs = {f"{name}_attn_qkv": width, f"{name}_attn_proj": 0, f"{name}_mlp.fc1": width, f"{name}_mlp.fc2": mlp}
    return kept + _adapters(inputs, trained, rank=rank, precision=precision)


def _adapters(inputs: dict[str, int], trained: Collection[str], *, rank: int, precision: Precision) -> int:
    """Bytes a token of the inputs of trained Linears, and of the numbers between an adapter's matrices."""
    return sum(precision.adapter_bytes * (width + rank) for name, width in inputs.items() if name in trained)


def _statistics(shape: TransformerShape) -> int:
    """Bytes a token of the norms' and attention's own: three float32 for each head, and two pairs of the LayerNorms."""
    return FLOAT32 * (3 * shape.heads + 4)
