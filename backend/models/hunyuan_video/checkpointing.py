"""Computing a block again in the backward pass instead of keeping what it computed, with its inputs in CPU memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from backend.models.copy_stream import CopyStream, Mark


# torch 2.13 fails where it traces checkpoint() for sizes that change; what checkpoint() calls is still compiled.
@torch.compiler.disable(recursive=False)
def run_checkpointed(
    compute: Callable[..., Any], tokens: tuple[Tensor, ...], *rest: Any, copies: CopyStream | None = None
) -> Any:
    """compute(*tokens, *rest), of which only the arguments are kept for the backward pass.

    copies: keep the tokens in CPU memory until then; the rest stays where it is. One tensor of the rest has to be on
    the device: by it torch finds the random numbers that the second computation has to draw again.
    """
    if copies is None:
        return checkpoint(compute, *tokens, *rest, use_reentrant=False)
    kept = _TokensInCpuMemory(tokens, copies)
    return checkpoint(lambda *rest: compute(*kept.take(), *rest), *rest, use_reentrant=False)


class _TokensInCpuMemory:
    """Tokens that are given away once as they are, and after that as copies of what was put into CPU memory."""

    def __init__(self, tokens: tuple[Tensor, ...], copies: CopyStream) -> None:
        self._copies = copies
        self._device = tokens[0].device
        self._kept: list[tuple[Tensor, Mark]] = [copies.to_cpu(tensor.detach()) for tensor in tokens]
        self._require_grad = [tensor.requires_grad for tensor in tokens]
        self._given: tuple[Tensor, ...] = tokens

    def take(self) -> tuple[Tensor, ...]:
        """The tokens. What is computed from them has to save the same tensors, so they require gradients as before."""
        if self._given:
            given, self._given = self._given, ()
            return given
        return tuple(
            self._back(*kept).requires_grad_(needed)
            for kept, needed in zip(self._kept, self._require_grad, strict=True)
        )

    def _back(self, tensor: Tensor, mark: Mark) -> Tensor:
        self._copies.wait(mark)
        return tensor.detach().to(self._device, non_blocking=True)
