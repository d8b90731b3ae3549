"""A .safetensors file of one small LoRA module, with any metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file


def write_lora(path: Path, metadata: Mapping[str, str]) -> Path:
    """Write the file and give its path back."""
    name = "lora_unet_double_blocks_0_img_attn_qkv"
    tensors = {
        f"{name}.lora_down.weight": torch.ones(2, 4),
        f"{name}.lora_up.weight": torch.zeros(12, 2),
        f"{name}.alpha": torch.tensor(1.0),
    }
    save_file(tensors, path, metadata=dict(metadata))
    return path
