"""What this program runs on: versions of its parts, of the system and of the GPU's driver."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from backend.gpus import Gpus

PARTS = (
    *("torch", "accelerate", "gradio", "safetensors", "transformers", "diffusers", "huggingface_hub"),
    *("tensorboard", "wandb", "av", "pillow", "bitsandbytes", "flash-attn", "xformers"),
)
"""Distributions whose version helps to find a fault; the last three are not needed by all."""


def versions() -> dict[str, str | None]:
    """Name and version of each part, None where it is not there; of the parts nothing is imported."""
    return {
        "Python": platform.python_version(),
        "system": platform.platform(),
        "driver": Gpus().driver_version(),
        **{name: _version(name) for name in PARTS},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
