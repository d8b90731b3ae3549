"""How long one training step takes, how much memory, and how near that is to what the processor can do.

    python benchmarks/step.py --sizes S M --dtypes fp32 --threads 2 --json figures.json
    python benchmarks/step.py --sizes M --include '.*single_blocks\\.[67]\\..*' --exclude '.*'
    python benchmarks/step.py --sizes S --save_case case.safetensors      the very same step for another implementation

A step is forward, backward and optimizer for a random model with a LoRA of rank 16 on the default modules. Each case
runs in a process of its own. The floor is the time that the matrix products alone would take at the rate that the same
process reaches for products of the model's own shapes: of the forward pass on real tokens, of the gradients with
respect to inputs, of attention and of the LoRA, and of the second forward pass where checkpointing asks for it.

Steps and products are timed in turn, and the best of each counts, so that whatever else the machine does strikes both
alike. On a machine that is never idle the figures in CPU seconds with one thread tell more than those by the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.networks.lora import create_lora
from backend.networks.network import Network
from backend.plan.modules import TransformerShape, block_linears
from backend.plan.selection import select_modules, trained_modules
from backend.training.optimizers import make_optimizer

RANK = 16
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Size:
    """A model and its input. latents: frames, height and width; text: tokens, real tokens."""

    hidden_size: int
    heads: int
    blocks: tuple[int, int]
    latents: tuple[int, int, int]
    text: tuple[int, int]

    @property
    def shape(self) -> TransformerShape:
        return TransformerShape(
            hidden_size=self.hidden_size,
            heads=self.heads,
            double_blocks=self.blocks[0],
            single_blocks=self.blocks[1],
            mlp_hidden=4 * self.hidden_size,
            in_channels=16,
            text_width=256,
            pooled_width=64,
        )

    @property
    def image_tokens(self) -> int:
        frames, height, width = self.latents
        return frames * (height // 2) * (width // 2)


SIZES = {
    "tiny": Size(64, 2, (1, 2), (1, 8, 8), (16, 10)),
    "S": Size(256, 4, (2, 4), (1, 32, 32), (64, 40)),
    "M": Size(512, 8, (4, 8), (5, 24, 40), (128, 60)),
    "L": Size(1024, 8, (4, 8), (3, 32, 48), (256, 80)),
}


@dataclass
class Case:
    """A model with its LoRA, the inputs of one step, and the optimizer."""

    model: HunyuanVideoTransformer
    network: Network
    inputs: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    autocast: bool

    def step(self) -> tuple[float, float]:
        """One step; returns the loss and the norm of the gradient."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            out = self.model(
                self.inputs["x"],
                self.inputs["timestep"],
                text_states=self.inputs["text_states"],
                text_mask=self.inputs["text_mask"],
                pooled_text=self.inputs["pooled_text"],
                guidance=self.inputs["guidance"],
            )
        loss = (out.float() - self.inputs["target"]).square().mean()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item(), norm.item()


def make_case(size: Size, options: argparse.Namespace) -> Case:
    """The case of these options; weights, LoRA and inputs follow from a seed or come from a file."""
    dtype = DTYPES[options.dtype]
    torch.manual_seed(0)
    model = HunyuanVideoTransformer(size.shape).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    decisions = select_modules(
        block_linears(size.shape), exclude_patterns=options.exclude, include_patterns=options.include
    )
    inputs = _inputs(size)
    stored = load_file(options.load_case) if options.load_case else {}
    if stored:
        model.load_state_dict(_part(stored, "model."))
        inputs = _part(stored, "in.")
    model = model.to(dtype)
    names = [module.name for module in trained_modules(decisions)]
    network = create_lora(model, names, rank=RANK, alpha=RANK, generator=torch.Generator().manual_seed(1))
    for layer in network.layers.values():
        torch.nn.init.normal_(layer.lora_up.weight, std=0.01)
    if stored:
        network.load_state_dict(_part(stored, "lora."))
    model.gradient_checkpointing = options.checkpointing
    optimizer = make_optimizer("adamw", network.parameter_groups(1e-4), arguments={})
    return Case(model, network.train(), inputs, optimizer, autocast=options.dtype == "bf16")


def save_case(path: str, case: Case) -> None:
    """Weights, LoRA and inputs under model.*, lora.* and in.*."""
    base = {
        name.replace(".base.", "."): tensor for name, tensor in case.model.state_dict().items() if ".lora_" not in name
    }
    tensors = {f"model.{name}": tensor.float() for name, tensor in base.items() if not name.endswith(".alpha")}
    tensors |= {f"lora.{name}": tensor for name, tensor in case.network.state_dict().items()}
    tensors |= {f"in.{name}": tensor for name, tensor in case.inputs.items()}
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path)


def floor_operations(size: Size, trained: set[str], *, checkpointing: bool) -> float:
    """Floating point operations that a step cannot do without, of matrix products only.

    Blocks before the first trained one need the forward pass alone; the first Linear of that block needs no gradient
    with respect to its input.
    """
    image, text, width = size.image_tokens, size.text[1], size.hidden_size
    tokens = image + text
    blocks: dict[str, list] = {}
    for linear in block_linears(size.shape):
        blocks.setdefault(".".join(linear.name.split(".")[:2]), []).append(linear)
    first_trained = next(name for name, linears in blocks.items() if any(one.name in trained for one in linears))
    total, backward = 0.0, False
    for name, linears in blocks.items():
        is_first = name == first_trained
        backward = backward or is_first
        forward = 4.0 * tokens * tokens * width  # of attention: scores, and values by them
        gradient = 2 * forward
        for linear in linears:
            rows = _rows(linear.name, image=image, text=text)
            product = 2.0 * rows * linear.in_features * linear.out_features
            forward += product
            starts_block = linear.name.endswith(("attn_qkv", "linear1"))
            if rows > 1 and not (is_first and starts_block):
                gradient += product
            if linear.name in trained:
                low_rank = 2.0 * rows * RANK * (linear.in_features + linear.out_features)
                forward += low_rank
                gradient += 2 * low_rank
        total += forward + (gradient if backward else 0) + (forward if backward and checkpointing else 0)
    return total


@dataclass(frozen=True)
class Rate:
    """Floating point operations per second by the clock, and per second of CPU time."""

    by_clock: float = 0.0
    by_cpu: float = 0.0

    def best(self, other: Rate) -> Rate:
        return Rate(max(self.by_clock, other.by_clock), max(self.by_cpu, other.by_cpu))


def product_rate(size: Size, dtype: torch.dtype) -> Rate:
    """What products of the model's own shapes reach, the best of the two in a few tries."""
    rows, best = size.image_tokens + size.text[1], Rate()
    for inner, outer in ((size.hidden_size, 4 * size.hidden_size), (4 * size.hidden_size, size.hidden_size)):
        product = partial(
            torch.nn.functional.linear, torch.randn(rows, inner, dtype=dtype), torch.randn(outer, inner, dtype=dtype)
        )
        operations = 2.0 * rows * inner * outer
        repeats = max(1, int(1e9 / operations))
        for _ in range(3):
            seconds, cpu_seconds = timed(product, repeats)
            best = best.best(Rate(operations / seconds, operations / cpu_seconds))
    return best


def timed(work: Callable[[], Any], repeats: int = 1) -> tuple[float, float]:
    """Seconds by the clock and of CPU time, of one time on average."""
    started, cpu_started = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - started) / repeats, (time.process_time() - cpu_started) / repeats


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one case, in this process."""
    torch.set_num_threads(options.threads)
    size = SIZES[options.size]
    case = make_case(size, options)
    if options.save_case:
        save_case(options.save_case, case)
    trained = {name for name, module in case.model.named_modules() if hasattr(module, "lora_down")}
    before = _peak_bytes()
    loss, norm = case.step()
    case.step()
    peak = _peak_bytes()
    times, rate = [], Rate()
    for _ in range(options.repeats):
        times.append(timed(case.step))
        rate = rate.best(product_rate(size, DTYPES[options.dtype]))
    seconds, cpu_seconds = (sorted(column) for column in zip(*times, strict=True))
    operations = floor_operations(size, trained, checkpointing=options.checkpointing)
    floor = operations / rate.by_clock
    return {
        "size": options.size,
        "dtype": options.dtype,
        "checkpointing": options.checkpointing,
        "threads": options.threads,
        "modules": len(trained),
        "loss": loss,
        "gradient_norm": norm,
        "seconds": seconds[0],
        "median_seconds": seconds[len(seconds) // 2],
        "cpu_seconds": cpu_seconds[0],
        "peak_gib": peak / 2**30,
        "peak_before_the_step_gib": before / 2**30,
        "gflops": rate.by_clock / 1e9,
        "floor_seconds": floor,
        "floor_ratio": floor / seconds[0],
        "cpu_floor_ratio": operations / rate.by_cpu / cpu_seconds[0],
    }


def main() -> None:
    options = _parse()
    if options.size:
        print(json.dumps(measure(options)))
        return
    figures = []
    for size in options.sizes:
        for dtype in options.dtypes:
            for checkpointing in {"no": [False], "yes": [True], "both": [False, True]}[options.checkpointing_cases]:
                figures.append(_in_a_process(size, dtype, checkpointing))
                print(_line(figures[-1]), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _in_a_process(size: str, dtype: str, checkpointing: bool) -> dict[str, Any]:
    command = [sys.executable, *sys.argv, "--size", size, "--dtype", dtype]
    command += ["--checkpointing"] if checkpointing else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _line(figures: dict[str, Any]) -> str:
    return (
        "{size:5} {dtype} {mark:14} {seconds:7.3f} s (median {median_seconds:.3f}), CPU {cpu_seconds:.3f} s, peak "
        "{peak_gib:.2f} GiB, floor {floor_seconds:.3f} s = {floor_ratio:.2f} (CPU {cpu_floor_ratio:.2f}) at "
        "{gflops:.0f} GFLOP/s, loss {loss:.6f}, gradient {gradient_norm:.6f}"
    ).format(mark="checkpointing" if figures["checkpointing"] else "", **figures)


def _inputs(size: Size) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    mask = torch.zeros(1, size.text[0], dtype=torch.int64)
    mask[:, : size.text[1]] = 1
    return {
        "x": torch.randn(1, 16, *size.latents, generator=generator),
        "target": torch.randn(1, 16, *size.latents, generator=generator),
        "timestep": torch.tensor([500.0]),
        "guidance": torch.tensor([1.0]),
        "text_states": torch.randn(1, size.text[0], size.shape.text_width, generator=generator),
        "text_mask": mask,
        "pooled_text": torch.randn(1, size.shape.pooled_width, generator=generator),
    }


def _rows(name: str, *, image: int, text: int) -> int:
    """How many rows go through a Linear: tokens, or one for the conditioning vector."""
    if "mod" in name:
        return 1
    return image + text if name.startswith("single") else image if ".img_" in name else text


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _peak_bytes() -> int:
    """The peak of this process. What Linux tells as ru_maxrss is that of whoever started it, if that is higher."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["S", "M", "L"])
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=["fp32", "bf16"])
    parser.add_argument("--checkpointing_cases", choices=("no", "yes", "both"), default="both")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--exclude", nargs="*", default=[], help="patterns, as the option exclude_patterns")
    parser.add_argument("--include", nargs="*", default=[], help="patterns, as the option include_patterns")
    parser.add_argument("--save_case", help="write weights, LoRA and inputs to this .safetensors file")
    parser.add_argument("--load_case", help="read weights, LoRA and inputs from this .safetensors file")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--size", choices=SIZES, help=argparse.SUPPRESS)
    parser.add_argument("--dtype", choices=DTYPES, help=argparse.SUPPRESS)
    parser.add_argument("--checkpointing", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
