"""Compiling the blocks of the transformer, each by itself, so that all of a kind share one compiled program."""

from __future__ import annotations

import sys

import torch
from torch import nn
from torch.utils._triton import has_triton_package

from backend.errors import OptionError


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


def check_backend(name: str, *, option: str, device: torch.device) -> None:
    """Raise OptionError if torch has no compiler backend of that name, or what the backend itself needs is missing."""
    from torch._dynamo.backends.registry import lookup_backend  # takes a second to import
    from torch._dynamo.exc import InvalidBackend

    try:
        lookup_backend(name)
    except (InvalidBackend, ImportError) as error:
        raise OptionError(
            f"{option} is {name}, which this PyTorch does not have",
            hint=f"choose one of {', '.join(torch._dynamo.list_backends())}",
            option=option,
        ) from error
    if name == "inductor":
        _check_inductor(option, device)


def _check_inductor(option: str, device: torch.device) -> None:
    """Inductor writes C++ for a CPU, which a compiler has to translate, and Triton for a GPU."""
    if device.type == "cpu":
        from torch._inductor.cpp_builder import get_cpp_compiler

        try:
            get_cpp_compiler()
        except RuntimeError as error:
            hint = "install one (g++ on Linux, Visual Studio's build tools on Windows), or switch compiling off"
            message = f"{option} is inductor, which needs a C++ compiler: {error}"
            raise OptionError(message, hint=hint, option=option) from error
    elif device.type == "cuda" and not has_triton_package():
        package = "triton-windows" if sys.platform == "win32" else "triton"
        message = f"{option} is inductor, which needs Triton for a GPU"
        raise OptionError(message, hint=f"install it: pip install {package}", option=option)
