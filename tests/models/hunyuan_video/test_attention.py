"""Attention against its plain formula."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from backend.models.hunyuan_video.attention import attention


def test_attention_with_lengths_is_attention_with_a_mask():
    q, k, v = torch.randn(3, 2, 6, 2, 4).unbind(0)
    lengths = [6, 4]
    is_real = torch.arange(6) < torch.tensor(lengths)[:, None]  # (B, S)
    masked = F.scaled_dot_product_attention(
        *(tensor.transpose(1, 2) for tensor in (q, k, v)), attn_mask=is_real[:, None, None, :]
    )
    expected = masked.transpose(1, 2).flatten(2) * is_real[..., None]
    assert torch.allclose(attention(q, k, v, lengths), expected, atol=1e-6)
