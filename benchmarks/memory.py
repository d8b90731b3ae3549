"""How near the plan's forecast of activations is to what torch really keeps, for models of any size, without a GPU.

    python benchmarks/memory.py
    python benchmarks/memory.py --frames 129 --blocks 20 40

The model runs forward and backward on tensors without content (FakeTensorMode), and every storage is counted from its
making to its end: the peak is what a caching allocator would be asked for. Autocast chooses as it does on CUDA.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend.models.hunyuan_video import transformer as transformer_module
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.networks.lora import create_lora
from backend.plan.activations import Activations, Precision, Tokens, activation_bytes
from backend.plan.modules import TransformerShape, block_linears
from backend.plan.selection import select_modules, trained_modules

GIB = 2**30


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages that are made inside; `peak` is the most there were at once."""

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._seen: weakref.WeakKeyDictionary[Any, None] = weakref.WeakKeyDictionary()
        for tensor in known:
            self._seen[tensor.untyped_storage()] = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return out

    def _add(self, storage: Any) -> None:
        if storage in self._seen:
            return
        self._seen[storage] = None
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._drop, storage.nbytes())

    def _drop(self, size: int) -> None:
        self.live -= size


def counted_peak(
    shape: TransformerShape,
    trained: list[str],
    *,
    latents: tuple[int, int, int],
    text: int,
    rank: int,
    dtype: torch.dtype = torch.bfloat16,
    autocast: bool = True,
    checkpointing: bool = False,
) -> int:
    """Bytes of activations and gradients at the highest point of forward and backward. latents: F, H, W."""
    model = _model(shape, trained, rank=rank, dtype=dtype)
    model.gradient_checkpointing = checkpointing
    with FakeTensorMode(allow_non_fake_inputs=True):
        for module in model.modules():
            _give_tensors(module)
        inputs = _inputs(shape, latents=latents, text=text)
        weights = [*model.parameters(), *model.buffers()]
        with _every_token_is_real(text), _norms_as_on_cuda(), LiveBytes([*weights, *inputs.values()]) as count:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
                loss = model(**inputs).float().square().mean()
            loss.backward()
    return count.peak


def forecast(
    shape: TransformerShape, trained: list[str], *, latents: tuple[int, int, int], text: int, rank: int, **options: Any
) -> Activations:
    """The plan's forecast of the same step."""
    frames, height, width = latents
    number_bytes = 2 if options.get("dtype", torch.bfloat16) == torch.bfloat16 else 4
    return activation_bytes(
        shape,
        trained,
        tokens=Tokens(frames * (height // 2) * (width // 2), text),
        rank=rank,
        precision=Precision(number_bytes, options.get("autocast", True)),
        checkpointing=options.get("checkpointing", False),
    )


def _model(shape: TransformerShape, trained: list[str], *, rank: int, dtype: torch.dtype) -> HunyuanVideoTransformer:
    with torch.device("meta"):
        model = HunyuanVideoTransformer(shape).to(dtype).eval().requires_grad_(False)
    create_lora(model, trained, rank=rank, alpha=rank).train()
    return model


def _give_tensors(module: nn.Module) -> None:
    """Put tensors without content in the place of the module's own."""
    for name, weight in module.named_parameters(recurse=False):
        fake = nn.Parameter(torch.empty(weight.shape, dtype=weight.dtype), requires_grad=weight.requires_grad)
        module.register_parameter(name, fake)
    for name, buffer in module.named_buffers(recurse=False):
        module.register_buffer(name, torch.empty(buffer.shape, dtype=buffer.dtype))


def _inputs(shape: TransformerShape, *, latents: tuple[int, int, int], text: int) -> dict[str, Tensor]:
    return {
        "x": torch.empty(1, shape.in_channels, *latents),
        "timestep": torch.empty(1),
        "guidance": torch.empty(1),
        "text_states": torch.empty(1, text, shape.text_width),
        "text_mask": torch.empty(1, text, dtype=torch.int64),
        "pooled_text": torch.empty(1, shape.pooled_width),
    }


@contextmanager
def _every_token_is_real(text: int) -> Iterator[None]:
    """A mask without content cannot be read."""
    cut = transformer_module.cut_to_real_tokens
    transformer_module.cut_to_real_tokens = lambda states, mask: (states, [text] * len(states))
    try:
        yield
    finally:
        transformer_module.cut_to_real_tokens = cut


@contextmanager
def _norms_as_on_cuda() -> Iterator[None]:
    """CUDA's autocast computes LayerNorm in float32, that of a CPU does not."""
    layer_norm = F.layer_norm

    def in_float32(x: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
        if not torch.is_autocast_enabled("cpu"):
            return layer_norm(x, shape, weight, bias, eps)
        with torch.autocast("cpu", enabled=False):
            own = (None if tensor is None else tensor.float() for tensor in (weight, bias))
            return layer_norm(x.float(), shape, *own, eps)

    F.layer_norm = in_float32
    try:
        yield
    finally:
        F.layer_norm = layer_norm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[1, 33, 85])
    parser.add_argument("--resolution", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), default=[544, 960])
    parser.add_argument("--blocks", type=int, nargs=2, metavar=("DOUBLE", "SINGLE"), default=[2, 4])
    parser.add_argument("--rank", type=int, default=32)
    own = parser.parse_args()
    shape = dataclasses.replace(TransformerShape.full_size(), double_blocks=own.blocks[0], single_blocks=own.blocks[1])
    height, width = own.resolution
    selections = {"all": ([], []), "attention": ([".*"], [".*attn.*"]), "single blocks": ([".*double.*"], [])}
    for frames in own.frames:
        latents = ((frames - 1) // 4 + 1, height // 8, width // 8)
        for label, (exclude, include) in selections.items():
            decisions = select_modules(block_linears(shape), exclude_patterns=exclude, include_patterns=include)
            trained = [module.name for module in trained_modules(decisions)]
            for checkpointing in (False, True):
                case = {"latents": latents, "text": 256, "rank": own.rank, "checkpointing": checkpointing}
                real, said = counted_peak(shape, trained, **case), forecast(shape, trained, **case)
                told = said.kept + said.passing
                mark = "checkpointing" if checkpointing else ""
                print(
                    f"{frames:4} frames, {label:13} {mark:13}  counted {real / GIB:7.2f} GiB, "
                    f"forecast {told / GIB:7.2f} GiB, {told / real - 1:+.1%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
