"""What this program runs on: versions of its parts, of the system and of the GPU's driver."""

from __future__ import annotations

import importlib
import platform
from importlib.metadata import PackageNotFoundError, version

PARTS = (
    *("torch", "accelerate", "gradio", "safetensors", "transformers", "diffusers", "huggingface_hub"),
    *("tensorboard", "wandb", "av", "pillow", "bitsandbytes", "flash-attn", "xformers"),
)
"""Distributions whose version helps to find a fault; the last three are not needed by all."""


def versions() -> dict[str, str | None]:
    """Name and version of each part, None where it is not installed; nothing of it is imported."""
    return {
        "Python": platform.python_version(),
        "system": platform.platform(),
        **{name: _version(name) for name in PARTS},
    }


def driver_version() -> str | None:
    """The version of NVIDIA's driver, None where there is none, or no library to ask it."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        found = nvml.nvmlSystemGetDriverVersion()
    except nvml.NVMLError:
        return None
    return found if isinstance(found, str) else found.decode(errors="replace")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
