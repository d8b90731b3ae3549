"""Attention among the tokens of each item."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values, each (B, S, heads, head_dim), to attended values of that shape; there is no mask.

FlashAttention's `flash_attn_func` and xFormers' `memory_efficient_attention` are such functions.
"""


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention by PyTorch's own kernel."""
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))  # (B, S, heads, head_dim) -> (B, heads, S, head_dim)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


def attention(q: Tensor, k: Tensor, v: Tensor, lengths: Sequence[int], *, kernel: Kernel = sdpa) -> Tensor:
    """Every token of an item attends to every token of that item.

    q, k, v: (B, S, heads, head_dim). lengths: real tokens of each item, which come first, S in the longest; the rest
    takes no part and gets zeros. No mask of (S, S) is made. Returns (B, S, heads * head_dim).
    """
    if min(lengths) == q.shape[1]:
        return kernel(q, k, v).flatten(2)
    items = [kernel(q[i, None, :n], k[i, None, :n], v[i, None, :n]) for i, n in enumerate(lengths)]
    return pad_sequence([item[0].flatten(1) for item in items], batch_first=True)
