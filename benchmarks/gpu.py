"""How long a training step of the full-size model takes on a GPU, and how much memory, with random weights.

    python benchmarks/gpu.py --frames 1 33 --gradient_checkpointing --json figures.json
    python benchmarks/gpu.py --frames 33 --gradient_checkpointing --fp8_scaled --blocks_to_swap 20
    python benchmarks/gpu.py --frames 1 --compile --flash_attn

The trainer's own options of memory, network and optimizer are taken. A step is forward, backward and optimizer for one
clip of these frames and a caption of 128 tokens. No weights file is read: they are drawn where they will lie.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend.commands.device import check_device, set_up_device, training_device
from backend.commands.model import COMPUTED_IN, DTYPES, apply_memory_options, block_swap, compile_model, create_network
from backend.config.command_line import make_parser, read_arguments
from backend.config.configuration import Configuration
from backend.errors import UserError
from backend.models.hunyuan_video.fp8 import FLOAT8, LARGEST, keep_in_float8
from backend.models.hunyuan_video.offload import WeightRing
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.networks.network import Network
from backend.plan.modules import TransformerShape, block_linears
from backend.training.optimizers import make_optimizer

SHAPES = {
    "full": TransformerShape.full_size(),
    "tiny": TransformerShape(64, 2, 2, 5, 128, in_channels=16, text_width=32, pooled_width=24),
}
TEXT_TOKENS, REAL_TOKENS = 256, 128


def random_transformer(
    shape: TransformerShape, configuration: Configuration, *, device: torch.device
) -> HunyuanVideoTransformer:
    """A frozen transformer of these options, swapped blocks in CPU memory."""
    memory = configuration.memory
    dtype = DTYPES[configuration.model.dit_dtype or COMPUTED_IN[memory.mixed_precision]]
    with torch.device("meta"):
        model = HunyuanVideoTransformer(shape)
        if memory.fp8_base or memory.fp8_scaled:
            names = [linear.name for linear in block_linears(shape)]
            keep_in_float8(model, names, "scaled" if memory.fp8_scaled else "plain")
    swap = block_swap(memory)
    parts = swap.parts(shape) if swap else []
    swapped = tuple(f"{name}." for part in parts for name in part)
    weights = {
        name: _random(name, tensor, dtype, device=device).to("cpu" if name.startswith(swapped) else device)
        for name, tensor in model.state_dict().items()
    }
    model.load_state_dict(weights, assign=True)
    model.eval().requires_grad_(False)
    if swap:
        modules = [[model.get_submodule(name) for name in part] for part in parts]
        model.weight_ring = WeightRing(modules, device=device, slots=swap.slots, pinned=swap.pinned)
    apply_memory_options(memory, model, device=device)
    return model


def measure(
    model: HunyuanVideoTransformer,
    network: Network,
    configuration: Configuration,
    *,
    size: tuple[int, int, int],
    repeats: int,
) -> dict[str, Any]:
    """The figures of steps on one clip. size: frames, height and width."""
    device = network.parameters()[0].device
    inputs = _inputs(model.shape, size=size, device=device)
    optimizer = make_optimizer(
        configuration.optimizer.optimizer_type,
        network.parameter_groups(configuration.optimizer.learning_rate),
        arguments={},
    )
    for _ in range(2):  # compiling, first allocations
        _step(model, network, optimizer, inputs, configuration)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        loss = _step(model, network, optimizer, inputs, configuration)
        seconds.append(time.perf_counter() - started)
    return {
        "frames": size[0],
        "height": size[1],
        "width": size[2],
        "seconds": min(seconds),
        "median_seconds": sorted(seconds)[repeats // 2],
        "peak_gib": torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None,
        "loss": loss,
    }


def _step(
    model: HunyuanVideoTransformer,
    network: Network,
    optimizer: torch.optim.Optimizer,
    inputs: dict[str, Tensor],
    configuration: Configuration,
) -> float:
    """One step to its end, for reading the loss waits for the device."""
    precision = configuration.memory.mixed_precision
    dtype = DTYPES[COMPUTED_IN[precision]]
    with torch.autocast(inputs["x"].device.type, dtype=dtype, enabled=precision != "no"):
        out = model(**inputs)
    loss = out.float().square().mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if loss.is_cuda:
        torch.cuda.synchronize(loss.device)
    return loss.item()


def _random(name: str, like: Tensor, dtype: torch.dtype, *, device: torch.device) -> Tensor:
    """Weights of a deviation of 0.02, and scales, which are float32, as they would be for such weights."""
    if name.endswith(".scale"):
        return torch.full(like.shape, 0.06 / LARGEST, device=device)
    weights = torch.randn(like.shape, device=device, dtype=dtype).mul_(0.02)
    return weights.to(FLOAT8) if like.dtype == FLOAT8 else weights


def _inputs(shape: TransformerShape, *, size: tuple[int, int, int], device: torch.device) -> dict[str, Tensor]:
    frames, height, width = size
    generator = torch.Generator().manual_seed(2)
    mask = torch.zeros(1, TEXT_TOKENS, dtype=torch.int64)
    mask[:, :REAL_TOKENS] = 1
    inputs = {
        "x": torch.randn(1, 16, (frames - 1) // 4 + 1, height // 8, width // 8, generator=generator),
        "timestep": torch.tensor([500.0]),
        "guidance": torch.tensor([1.0]),
        "text_states": torch.randn(1, TEXT_TOKENS, shape.text_width, generator=generator),
        "text_mask": mask,
        "pooled_text": torch.randn(1, shape.pooled_width, generator=generator),
    }
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def main(arguments: list[str]) -> None:
    parser = make_parser("gpu", description=__doc__ or "", groups={"memory", "network", "optimizer"})
    parser.prog = "python benchmarks/gpu.py"
    parser.add_argument("--size", choices=SHAPES, default="full")
    parser.add_argument("--frames", type=int, nargs="+", default=[1, 33])
    parser.add_argument("--resolution", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), default=[544, 960])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", help="write the figures to this file")
    configuration, own = read_arguments(parser, arguments)
    device = training_device(1)
    check_device(configuration, device)
    set_up_device(configuration)
    model = random_transformer(SHAPES[own.size], configuration, device=device)
    network = create_network(configuration, model, seed=0).train()
    compile_model(configuration, model)
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    options = {"arguments": arguments, "device": machine, "torch": torch.__version__}
    figures = []
    for frames in own.frames:
        size = (frames, *own.resolution)
        figures.append(options | measure(model, network, configuration, size=size, repeats=own.repeats))
        print(json.dumps(figures[-1]), flush=True)
    if own.json:
        Path(own.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit("\n".join(error.lines()))
