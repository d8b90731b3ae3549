"""Attention among the tokens of each item."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def attention(q: Tensor, k: Tensor, v: Tensor, lengths: Sequence[int]) -> Tensor:
    """Every token of an item attends to every token of that item.

    q, k, v: (B, S, heads, head_dim). lengths: real tokens of each item, which come first, S in the longest; the rest
    takes no part and gets zeros. No mask of (S, S) is made. Returns (B, S, heads * head_dim).
    """
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))  # (B, S, heads, head_dim) -> (B, heads, S, head_dim)
    if min(lengths) == q.shape[2]:
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    items = [
        F.scaled_dot_product_attention(q[i, None, :, :n], k[i, None, :, :n], v[i, None, :, :n])
        for i, n in enumerate(lengths)
    ]
    return pad_sequence([item[0].transpose(0, 1).flatten(1) for item in items], batch_first=True)
