"""Attention without a mask against diffusers' attention with one."""

from __future__ import annotations

import torch
from diffusers.models.autoencoders.autoencoder_kl_hunyuan_video import HunyuanVideoMidBlock3D

from backend.models.hunyuan_video.frame_causal_attention import FrameCausalMidBlock, attend_to_earlier_frames


def mid_block(*, add_attention: bool = True) -> HunyuanVideoMidBlock3D:
    torch.manual_seed(0)
    block = HunyuanVideoMidBlock3D(
        32, resnet_groups=4, attention_head_dim=32, add_attention=add_attention, resnet_act_fn="silu"
    )
    return block.eval().requires_grad_(False)


def test_the_block_gives_what_diffusers_gives():
    for block in (mid_block(), mid_block(add_attention=False)):
        hidden = torch.randn(2, 32, 5, 4, 6)
        torch.testing.assert_close(FrameCausalMidBlock(block)(hidden), block(hidden), rtol=0, atol=1e-5)


def test_the_names_of_the_weights_stay():
    block = mid_block()
    assert list(FrameCausalMidBlock(block).state_dict()) == list(block.state_dict())


def test_a_frame_does_not_see_later_ones():
    attention = mid_block().attentions[0]
    attention.group_norm = torch.nn.Identity()  # it looks at all frames
    hidden = torch.randn(1, 32, 3, 4, 4)
    changed = hidden.clone()
    changed[:, :, 2] += 1
    before, after = attend_to_earlier_frames(attention, hidden), attend_to_earlier_frames(attention, changed)
    torch.testing.assert_close(before[:, :, :2], after[:, :, :2])
    assert (before[:, :, 2] - after[:, :, 2]).abs().max() > 1e-3
