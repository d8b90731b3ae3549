"""The device that a training runs on, and what the chosen options need of it, checked before a model is loaded."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from backend.config.configuration import Configuration
from backend.config.schema import MemoryOptions
from backend.errors import OptionError, Problem
from backend.models.devices import choose_device
from backend.models.hunyuan_video.attention import Kernel, sdpa
from backend.models.hunyuan_video.compile import check_backend
from backend.training.libraries import import_library

NAMES = {"cpu": "the CPU", "mps": "Apple's GPU"}


def training_device(processes: int) -> torch.device:
    """Where accelerate trains on this machine. Several processes without CUDA meet on the CPU."""
    device = choose_device(None)
    return device if device.type == "cuda" or processes == 1 else torch.device("cpu")


def check_device(configuration: Configuration, device: torch.device) -> None:
    """Raise OptionError with everything that the options need and this device, or this installation, does not have."""
    memory = configuration.memory
    problems = [
        *_precision_problems(memory, device),
        *_attention_problems(memory, device),
        *_swap_problems(memory, device),
    ]
    if problems:
        raise OptionError.of(problems)
    attention_kernel(memory)
    if memory.compile:
        check_backend(memory.compile_backend, option="compile_backend", device=device)
    if memory.dynamo_backend != "NO":
        check_backend(memory.dynamo_backend.lower(), option="dynamo_backend", device=device)


def set_up_device(configuration: Configuration) -> None:
    """What the options say of CUDA's arithmetic."""
    if configuration.memory.cuda_allow_tf32:
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    if configuration.memory.cuda_cudnn_benchmark:
        torch.backends.cudnn.benchmark = True


def attention_kernel(memory: MemoryOptions) -> Kernel:
    """The attention that the options choose. Raises OptionError if its library cannot be imported."""
    if memory.flash_attn:
        return import_library("flash_attn", option="flash_attn", value="on").flash_attn_func
    if memory.xformers:
        return import_library("xformers.ops", option="xformers", value="on").memory_efficient_attention
    return sdpa


def _precision_problems(memory: MemoryOptions, device: torch.device) -> Iterator[Problem]:
    if device.type == "cpu" and memory.mixed_precision == "fp16":
        message = "mixed_precision is fp16, which needs a GPU, but the training runs on the CPU"
        yield Problem(message, hint="choose no, or bf16", option="mixed_precision")
    if device.type == "mps" and memory.mixed_precision == "bf16" and not torch.backends.mps.is_macos_or_newer(14, 0):
        message = "mixed_precision is bf16, which Apple's GPU computes from macOS 14 on"
        yield Problem(message, hint="choose fp16 or no", option="mixed_precision")
    if device.type == "mps" and (memory.fp8_base or memory.fp8_scaled):
        name = "fp8_base" if memory.fp8_base else "fp8_scaled"
        message = f"{name} is on, but Apple's GPU has no floating point numbers of 8 bits"
        yield Problem(message, hint="switch it off", option=name)


def _attention_problems(memory: MemoryOptions, device: torch.device) -> Iterator[Problem]:
    name = "flash_attn" if memory.flash_attn else "xformers" if memory.xformers else None
    if name is None:
        return
    if device.type != "cuda":
        message = f"{name} is on, which needs an NVIDIA GPU, but the training runs on {NAMES[device.type]}"
        yield Problem(message, hint="choose sdpa", option=name)
    elif name == "flash_attn" and not torch.version.hip and torch.cuda.get_device_capability(device) < (8, 0):
        message = f"flash_attn needs a GPU since 2020 (Ampere), but this one is {torch.cuda.get_device_name(device)}"
        yield Problem(message, hint="choose sdpa", option=name)


def _swap_problems(memory: MemoryOptions, device: torch.device) -> Iterator[Problem]:
    if memory.blocks_to_swap and device.type != "cuda":
        message = (
            f"blocks_to_swap is {memory.blocks_to_swap}, but the training runs on {NAMES[device.type]}, "
            "which computes in CPU memory, where swapped blocks would lie"
        )
        yield Problem(message, hint="leave it empty", option="blocks_to_swap")
