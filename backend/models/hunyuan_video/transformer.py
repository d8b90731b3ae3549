"""The HunyuanVideo diffusion transformer: noisy latents and text in, velocity out."""

from __future__ import annotations

import math
from contextlib import nullcontext
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from backend.models.copy_stream import CopyStream
from backend.models.hunyuan_video.attention import Kernel
from backend.models.hunyuan_video.checkpointing import run_checkpointed
from backend.models.hunyuan_video.layers import (
    DoubleBlock,
    FinalLayer,
    PatchEmbed,
    SingleBlock,
    TimestepEmbedder,
    TokenRefiner,
    VectorEmbedder,
    rope_tables,
    timestep_embedding,
)
from backend.models.hunyuan_video.offload import WeightRing
from backend.plan.modules import TransformerShape

PATCH_SIZE = (1, 2, 2)
OUT_CHANNELS = 16  # also where 32 channels go in


class HunyuanVideoTransformer(nn.Module):
    """Predicts the velocity (noise - data) at a timestep.

    Attributes are the key names of the released checkpoint. With `gradient_checkpointing` set, a block keeps only its
    inputs for the backward pass and is computed again there; with `input_copies` they are kept in CPU memory.
    `weight_ring`: where the weights are of parts that lie in CPU memory.
    Source: Kong et al. 2024, "HunyuanVideo" (arXiv:2412.03603).
    """

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.shape = shape
        self.gradient_checkpointing = False
        self.input_copies: CopyStream | None = None
        self.weight_ring = WeightRing()
        width, heads, mlp_hidden = shape.hidden_size, shape.heads, shape.mlp_hidden

        self.img_in = PatchEmbed(shape.in_channels, width, PATCH_SIZE)
        self.txt_in = TokenRefiner(shape.text_width, width, heads, mlp_hidden)
        self.time_in = TimestepEmbedder(width)
        self.vector_in = VectorEmbedder(shape.pooled_width, width)
        self.guidance_in = TimestepEmbedder(width)
        self.double_blocks = nn.ModuleList(DoubleBlock(width, heads, mlp_hidden) for _ in range(shape.double_blocks))
        self.single_blocks = nn.ModuleList(SingleBlock(width, heads, mlp_hidden) for _ in range(shape.single_blocks))
        self.final_layer = FinalLayer(width, math.prod(PATCH_SIZE) * OUT_CHANNELS)

    def forward(
        self,
        x: Tensor,
        timestep: Tensor,
        *,
        text_states: Tensor,
        text_mask: Tensor,
        pooled_text: Tensor,
        guidance: Tensor,
    ) -> Tensor:
        """The velocity, (B, 16, F, H, W), in the dtype of x.

        x: (B, C, F, H, W), H and W even. timestep: (B,), 1000 x sigma. guidance: (B,), taken as it is.
        text_states: (B, L, text width) from the language model; text_mask: (B, L), nonzero for real tokens.
        pooled_text: (B, pooled width) from CLIP.
        Raises ValueError for odd sizes and for an item without a real text token.
        """
        grid = patch_grid(x)
        image_tokens = math.prod(grid)
        dtype = self._compute_dtype(x.device.type)
        text_states, text_lengths = cut_to_real_tokens(text_states.to(dtype), text_mask)
        lengths = [image_tokens + length for length in text_lengths]

        time_features = timestep_embedding(timestep).to(dtype)
        guidance_features = timestep_embedding(guidance).to(dtype)
        vec = self.time_in(time_features) + self.vector_in(pooled_text.to(dtype)) + self.guidance_in(guidance_features)
        with self.weight_ring.forward_pass():
            # The convolution leaves tokens as the fastest dimension, and sums with them would all follow. In that
            # layout inductor (torch 2.13, on a CPU) makes gradients that are up to 30% wrong.
            img = self._compute(self.img_in, x.to(dtype)).contiguous()
            txt = self._compute(self.txt_in, text_states, time_features, text_lengths)
            # The tables have rows for padded text, too, so that one pair serves captions of all lengths.
            cos, sin = rope_tables(grid, self.shape.rope_dims, text_tokens=text_mask.shape[1], device=x.device)
            rope = cos[: max(lengths)], sin[: max(lengths)]
            for block in self.double_blocks:
                img, txt = self._run(block, (img, txt), vec, rope, lengths)
            tokens = torch.cat((img, txt), dim=1)
            for block in self.single_blocks:
                tokens = self._run(block, (tokens,), vec, rope, lengths)
        return unpatchify(self.final_layer(tokens[:, :image_tokens], vec), grid).to(x.dtype)

    def use_attention(self, kernel: Kernel) -> None:
        """Let the blocks attend by another kernel than PyTorch's own."""
        for block in (*self.double_blocks, *self.single_blocks):
            block.kernel = kernel

    def _run(self, block: nn.Module, tokens: tuple[Tensor, ...], *rest: object) -> Tensor | tuple[Tensor, Tensor]:
        """block(*tokens, *rest). Blocks before the first trained one keep nothing, and are not computed again."""
        learns = torch.is_grad_enabled() and _passes_gradients(block, tokens)
        compute = partial(self._compute, block, again=learns)
        if learns and self.gradient_checkpointing:
            return run_checkpointed(compute, tokens, *rest, copies=self.input_copies)
        with self.weight_ring.kept_by_name(block) if learns else nullcontext():
            return compute(*tokens, *rest)

    def _compute(self, part: nn.Module, *inputs: object, again: bool = False) -> Any:
        """part(*inputs) with its weights on the device. again: the backward pass will need them there, too."""
        with self.weight_ring.visit(part, again=again):
            return part(*inputs)

    def _compute_dtype(self, device_type: str) -> torch.dtype:
        """What autocast computes in where it is on, else what the weights are stored in."""
        if torch.is_autocast_enabled(device_type):
            return torch.get_autocast_dtype(device_type)
        return self.img_in.proj.weight.dtype


def _passes_gradients(block: nn.Module, tokens: tuple[Tensor, ...]) -> bool:
    return any(tensor.requires_grad for tensor in chain(tokens, block.parameters()))


def patch_grid(x: Tensor) -> tuple[int, int, int]:
    """Patches along time, height and width of latents (B, C, F, H, W)."""
    frames, height, width = x.shape[2:]
    if height % PATCH_SIZE[1] or width % PATCH_SIZE[2]:
        raise ValueError(f"latent height and width must be even, got {height} x {width}")
    return frames // PATCH_SIZE[0], height // PATCH_SIZE[1], width // PATCH_SIZE[2]


def unpatchify(patches: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Values of patches back in their place: (B, N, 16 * 1 * 2 * 2) -> (B, 16, F, H, W)."""
    patches = patches.unflatten(2, (OUT_CHANNELS, *PATCH_SIZE)).unflatten(1, grid)  # (B, f, h, w, C, pf, ph, pw)
    return patches.permute(0, 4, 1, 5, 2, 6, 3, 7).flatten(6, 7).flatten(4, 5).flatten(2, 3)


def cut_to_real_tokens(text_states: Tensor, text_mask: Tensor) -> tuple[Tensor, list[int]]:
    """The real tokens of each item, first in its row, and how many there are.

    (B, L, width) -> (B, longest item, width); shorter items are filled up with zeros. Padding costs nothing this way,
    and attention needs no mask: a caption of 40 tokens carries 40, not 256, through all the blocks.
    """
    items = [states[mask] for states, mask in zip(text_states, text_mask.bool(), strict=True)]
    lengths = [len(item) for item in items]
    if min(lengths) == 0:
        raise ValueError(f"item {lengths.index(0)} of the batch has no real text token")
    return pad_sequence(items, batch_first=True), lengths
