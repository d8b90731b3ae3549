"""A transformer of random weights with enough blocks to swap some of them, and what it computes."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import mse_loss

from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.networks.lora import create_lora
from backend.networks.network import Network
from backend.plan.modules import TransformerShape, block_linears

SHAPE = TransformerShape(
    hidden_size=64, heads=2, double_blocks=3, single_blocks=6, mlp_hidden=128, in_channels=16, text_width=32,
    pooled_width=24,
)  # fmt: skip


def write_model(path: Path) -> Path:
    """A weights file; the values follow from a fixed seed."""
    generator = torch.Generator().manual_seed(5)
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in HunyuanVideoTransformer(SHAPE).state_dict().items()}
    save_file({name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}, path)
    return path


def inputs(*, items: int = 2) -> dict[str, Tensor]:
    """The arguments of the transformer for a batch of items with captions of different lengths."""
    generator = torch.Generator().manual_seed(6)
    mask = torch.zeros(items, 8, dtype=torch.int64)
    for item in range(items):
        mask[item, : 3 + 2 * item] = 1
    return {
        "x": torch.randn(items, 16, 1, 4, 6, generator=generator),
        "timestep": torch.linspace(200, 800, items),
        "text_states": torch.randn(items, 8, SHAPE.text_width, generator=generator),
        "text_mask": mask,
        "pooled_text": torch.randn(items, SHAPE.pooled_width, generator=generator),
        "guidance": torch.ones(items),
    }


def add_network(model: HunyuanVideoTransformer, *, beginning: str = "", dropout: float = 0.0) -> Network:
    """A LoRA that does something, on the modules whose names begin so."""
    generator = torch.Generator().manual_seed(7)
    names = [module.name for module in block_linears(SHAPE) if module.name.startswith(beginning)]
    network = create_lora(model, names, rank=2, generator=generator)
    for layer in network.layers.values():
        torch.nn.init.normal_(layer.lora_up.weight, std=0.1, generator=generator)
    return network


def train(model: HunyuanVideoTransformer, network: Network, *, steps: int = 3) -> list[Tensor]:
    """The prediction and the gradients of some steps of gradient descent, all that follows from the weights."""
    found = []
    for _ in range(steps):
        prediction = model(**inputs())
        mse_loss(prediction, torch.ones_like(prediction)).backward()
        found.append(prediction.detach())
        for parameter in network.parameters():
            found.append(parameter.grad)
            parameter.data -= 0.01 * parameter.grad
            parameter.grad = None
    return found


def all_equal(found: list[Tensor], expected: list[Tensor]) -> bool:
    """Whether both hold the same numbers, to the last bit."""
    return len(found) == len(expected) and all(map(torch.equal, found, expected))
