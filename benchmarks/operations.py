"""Where the processor time of one training step goes, by kind of operation, beside the floor.

    python benchmarks/operations.py --size M --dtype fp32

One thread, CPU seconds: other work on the machine hardly changes them. The same case as in benchmarks/step.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).parent))

from step import DTYPES, SIZES, Case, floor_operations, make_case, product_rate

KINDS = {
    "products": ("mm", "addmm", "addmm_", "bmm", "baddbmm"),
    "attention": ("_scaled_dot_product_flash_attention_for_cpu",),
    "attention, backward": ("_scaled_dot_product_flash_attention_for_cpu_backward",),
    "gelu": ("gelu", "gelu_backward"),
    "norms": ("native_layer_norm", "native_layer_norm_backward", "linalg_vector_norm"),
    "copies and joins": ("copy_", "cat", "stack", "_to_copy", "clone", "zeros", "fill_", "zero_"),
    "views": (
        "view",
        "_unsafe_view",
        "t",
        "transpose",
        "permute",
        "expand",
        "as_strided",
        "slice",
        "select",
        "split",
        "split_with_sizes",
        "unbind",
        "unsqueeze",
        "squeeze",
        "detach",
        "alias",
    ),
    "optimizer": ("_fused_adamw_", "_foreach_norm", "_foreach_mul_"),
}
"""Operations by the kind that they are counted as; all others are sums and products of single numbers."""

SINGLE_NUMBERS = "sums, products of single numbers"


class CpuSeconds(TorchDispatchMode):
    """CPU seconds of this thread in each kind of operation."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        started = time.thread_time()
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.seconds[_kind(func.overloadpacket.__name__)] += time.thread_time() - started


def cpu_seconds_by_kind(case: Case, *, repeats: int) -> dict[str, float]:
    """CPU seconds of a step in each kind of operation, the least of several steps.

    What Python and autograd do between operations is left out; each operation has some microseconds of being counted.
    """
    case.step()
    best: dict[str, float] = {}
    for _ in range(repeats):
        with CpuSeconds() as counted:
            case.step()
        best = {kind: min(seconds, best.get(kind, seconds)) for kind, seconds in counted.seconds.items()}
    return best


def _kind(operation: str) -> str:
    return next((kind for kind, names in KINDS.items() if operation in names), SINGLE_NUMBERS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="M")
    parser.add_argument("--dtype", choices=DTYPES, default="fp32")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    options.exclude, options.include, options.load_case = [], [], None
    torch.set_num_threads(1)
    size = SIZES[options.size]
    case = make_case(size, options)
    seconds = cpu_seconds_by_kind(case, repeats=options.repeats)
    trained = {name for name, module in case.model.named_modules() if hasattr(module, "lora_down")}
    operations = floor_operations(size, trained, checkpointing=options.checkpointing)
    rate = product_rate(size, DTYPES[options.dtype]).by_cpu
    total = sum(seconds.values())
    for kind, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f"{kind:34} {spent:8.4f} s {spent / total:6.1%}")
    print(f"{'all operations':34} {total:8.4f} s, floor {operations / rate:.4f} s at {rate / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    main()
