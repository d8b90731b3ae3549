"""The size of a HunyuanVideo transformer and the inventory of its Linear modules, without building it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.errors import ModelFileError
from backend.plan.weights_header import kind_of_file, strip_prefix


@dataclass(frozen=True)
class TransformerShape:
    """All numbers that tell one transformer of the family from another."""

    hidden_size: int
    heads: int
    double_blocks: int
    single_blocks: int
    mlp_hidden: int
    in_channels: int
    text_width: int
    pooled_width: int

    @classmethod
    def full_size(cls) -> TransformerShape:
        """The released model: 12.8 billion parameters."""
        return cls(
            hidden_size=3072,
            heads=24,
            double_blocks=20,
            single_blocks=40,
            mlp_hidden=12288,
            in_channels=16,
            text_width=4096,
            pooled_width=768,
        )

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.heads

    @property
    def continues_a_picture(self) -> bool:
        """Whether the first frame goes in beside the noisy latents, as in SkyReels' image-to-video models."""
        return self.in_channels == 32

    @property
    def rope_dims(self) -> tuple[int, int, int]:
        """Columns of a head that rotate with time, height and width, in the released proportion 16 : 56 : 56."""
        time = self.head_dim // 8
        space = (self.head_dim - time) // 2
        return time, space, space


@dataclass(frozen=True)
class LinearModule:
    """One Linear of the transformer. name: as in the released checkpoint, "double_blocks.0.img_attn_qkv"."""

    name: str
    in_features: int
    out_features: int


def shape_from_header(tensors: Mapping[str, Sequence[int]], *, path: Path) -> TransformerShape:
    """The size of the transformer whose tensors have these names and shapes; a common prefix is allowed.

    path: of the file, for the message. Raises ModelFileError if they are not those of a HunyuanVideo transformer.
    """
    start = len(strip_prefix(tensors))
    shapes = {name[start:]: shape for name, shape in tensors.items()}
    try:
        hidden_size, in_channels = shapes["img_in.proj.weight"][:2]
        head_dim = shapes["double_blocks.0.img_attn_q_norm.weight"][0]
        shape = TransformerShape(
            hidden_size=hidden_size,
            heads=hidden_size // head_dim,
            double_blocks=_count_blocks(shapes, "double_blocks"),
            single_blocks=_count_blocks(shapes, "single_blocks"),
            mlp_hidden=shapes["double_blocks.0.img_mlp.fc1.weight"][0],
            in_channels=in_channels,
            text_width=shapes["txt_in.input_embedder.weight"][1],
            pooled_width=shapes["vector_in.in_layer.weight"][1],
        )
    except KeyError as error:
        raise ModelFileError(
            f"{path}: the size of the transformer cannot be read: {error} is missing; "
            f"the file seems to be: {kind_of_file(tensors)}",
            hint="choose the weights of a HunyuanVideo transformer",
        ) from error
    if head_dim % 32 or hidden_size % head_dim:  # the three parts of RoPE are even numbers only for multiples of 32
        message = f"attention heads of width {head_dim} in a hidden size of {hidden_size} are not possible"
        raise ModelFileError(f"{path}: {message}")
    return shape


def check_in_channels(shape: TransformerShape, wanted: int | None, *, path: Path) -> None:
    """Raise ModelFileError if the option dit_in_channels names another number than the transformer's file has."""
    if wanted not in (None, shape.in_channels):
        message = f"{path}: takes {shape.in_channels} channels, but dit_in_channels is {wanted}"
        hint = "choose another file, or leave dit_in_channels empty"
        raise ModelFileError(message, hint=hint, option="dit_in_channels")


def block_linears(shape: TransformerShape) -> list[LinearModule]:
    """The Linears inside the double and single blocks in model order: the candidates for LoRA."""
    doubles = [
        linear
        for index in range(shape.double_blocks)
        for stream in ("img", "txt")
        for linear in _stream_linears(f"double_blocks.{index}.{stream}", shape)
    ]
    singles = [linear for index in range(shape.single_blocks) for linear in _single_block_linears(index, shape)]
    return doubles + singles


def _stream_linears(prefix: str, shape: TransformerShape) -> list[LinearModule]:
    """The Linears of one stream, image or text, of a double block."""
    width, mlp = shape.hidden_size, shape.mlp_hidden
    return [
        LinearModule(f"{prefix}_mod.linear", width, 6 * width),
        LinearModule(f"{prefix}_attn_qkv", width, 3 * width),
        LinearModule(f"{prefix}_attn_proj", width, width),
        LinearModule(f"{prefix}_mlp.fc1", width, mlp),
        LinearModule(f"{prefix}_mlp.fc2", mlp, width),
    ]


def _single_block_linears(index: int, shape: TransformerShape) -> list[LinearModule]:
    prefix, width, mlp = f"single_blocks.{index}", shape.hidden_size, shape.mlp_hidden
    return [
        LinearModule(f"{prefix}.linear1", width, 3 * width + mlp),
        LinearModule(f"{prefix}.linear2", width + mlp, width),
        LinearModule(f"{prefix}.modulation.linear", width, 3 * width),
    ]


def _count_blocks(names: Iterable[str], kind: str) -> int:
    """One more than the highest index, so that a block in the gap is told as missing by whoever loads the file."""
    indices = [int(match[1]) for name in names if (match := re.match(rf"{kind}\.(\d+)\.", name))]
    return max(indices, default=-1) + 1
