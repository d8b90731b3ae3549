"""Compiling the blocks of the transformer, each by itself, so that all of a kind share one compiled program."""

from __future__ import annotations

import torch
from torch import nn


def compile_blocks(
    blocks: list[nn.Module],
    *,
    backend: str = "inductor",
    mode: str = "default",
    dynamic: bool | None = None,
    fullgraph: bool = False,
    cache_size_limit: int | None = None,
) -> None:
    """Have torch compile each block when it first runs; names and weights stay as they are.

    dynamic: whether sizes may change without compiling anew; None lets torch find out. cache_size_limit: programs kept
    for each place in the code, such as one for each bucket size.
    """
    if cache_size_limit is not None:
        torch._dynamo.config.recompile_limit = cache_size_limit
    for block in blocks:
        block.compile(backend=backend, mode=mode if mode != "default" else None, dynamic=dynamic, fullgraph=fullgraph)
