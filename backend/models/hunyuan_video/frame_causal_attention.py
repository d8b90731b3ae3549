"""The middle block of the VAE with attention that needs no mask over all pairs of positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn


class FrameCausalMidBlock(nn.Module):
    """The middle block of diffusers' encoder or decoder with its own layers, so with the same names and results.

    Attention lets a position see its own frame and those before. For that diffusers adds a mask of (F H W)^2 numbers,
    10 GiB in fp16 for 33 frames of 960x544; here each frame asks only the frames that it sees, with half the work.
    """

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.attentions = block.attentions
        self.resnets = block.resnets

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden: (B, C, F, H, W), and so is the result."""
        hidden = self.resnets[0](hidden)
        for attention, resnet in zip(self.attentions, self.resnets[1:], strict=True):
            if attention is not None:
                hidden = hidden + attend_to_earlier_frames(attention, hidden)
            hidden = resnet(hidden)
        return hidden


def attend_to_earlier_frames(attention: Attention, hidden: Tensor) -> Tensor:
    """What one-headed attention adds to (B, C, F, H, W)."""
    batch, channels, frames, height, width = hidden.shape
    positions = attention.group_norm(hidden.flatten(2)).transpose(1, 2)  # (B, F*H*W, C)
    queries, keys, values = (layer(positions) for layer in (attention.to_q, attention.to_k, attention.to_v))
    area = height * width
    seen = [
        F.scaled_dot_product_attention(
            queries[:, None, end - area : end], keys[:, None, :end], values[:, None, :end], scale=attention.scale
        )
        for end in range(area, (frames + 1) * area, area)
    ]
    added = attention.to_out[0](torch.cat(seen, dim=2)[:, 0])
    return added.transpose(1, 2).reshape(batch, channels, frames, height, width)
