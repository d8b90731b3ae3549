"""The three namings of LoRA files, musubi-tuner's (default), ComfyUI's, and that of diffusers and PEFT, name by name.

default      lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight
comfyui      diffusion_model.double_blocks.0.img_attn_qkv.lora_A.weight
diffusers    transformer.transformer_blocks.0.attn.to_q.lora_A.weight, q, k and v apart
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from backend.errors import ModelFileError
from backend.plan.adapter_files import NATIVE_PREFIX

Naming = Literal["default", "comfyui", "diffusers"]

DOUBLE_BLOCK = {
    "img_mod.linear": ("norm1.linear",),
    "img_attn_qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "img_attn_proj": ("attn.to_out.0",),
    "img_mlp.fc1": ("ff.net.0.proj",),
    "img_mlp.fc2": ("ff.net.2",),
    "txt_mod.linear": ("norm1_context.linear",),
    "txt_attn_qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "txt_attn_proj": ("attn.to_add_out",),
    "txt_mlp.fc1": ("ff_context.net.0.proj",),
    "txt_mlp.fc2": ("ff_context.net.2",),
}
SINGLE_BLOCK = {
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    "linear2": ("proj_out",),
    "modulation.linear": ("norm.linear",),
}
BLOCKS = {
    "double_blocks": ("transformer_blocks", DOUBLE_BLOCK),
    "single_blocks": ("single_transformer_blocks", SINGLE_BLOCK),
}
"""Our lists of blocks, those of diffusers, and for each Linear of ours those of diffusers that share its rows."""

_PARTS = {"lora_A": "lora_down.weight", "lora_B": "lora_up.weight"}
_DOTTED = {blocks: {inner.replace(".", "_"): inner for inner in names} for blocks, (_, names) in BLOCKS.items()}
_PLACES = {
    (theirs, name): (blocks, inner, place)
    for blocks, (theirs, names) in BLOCKS.items()
    for inner, several in names.items()
    for place, name in enumerate(several)
}


def naming_of(names: Sequence[str]) -> Naming:
    """The naming of a file's tensors. Raises ModelFileError if it is none of the three."""
    if all(name.startswith(NATIVE_PREFIX) for name in names):
        return "default"
    if any(re.match(r"(transformer\.)?(single_)?transformer_blocks\.", name) for name in names):
        return "diffusers"
    if any(re.match(r"(diffusion_model|transformer)\.(double|single)_blocks\.", name) for name in names):
        return "comfyui"
    raise ModelFileError(f"a tensor is called {names[0] if names else 'nothing'}", hint="wanted a HunyuanVideo LoRA")


def module_and_part(name: str, naming: Naming) -> tuple[str, str]:
    """The module that a tensor is a part of, and the part: "double_blocks.0.img_mlp.fc1", "alpha".

    A module of diffusers keeps its name there, see `place_in_blocks`. Raises ModelFileError for a name that is no part
    of a module.
    """
    return _from_native(name) if naming == "default" else _from_dotted(name)


def place_in_blocks(module: str) -> tuple[str, int]:
    """Of a module of diffusers the Linear of ours that has its rows, and the how manieth part of them, from 0.

    Raises ModelFileError for a module that the blocks do not have.
    """
    theirs, _, rest = module.partition(".")
    index, _, name = rest.partition(".")
    if (theirs, name) not in _PLACES:
        raise stranger(module)
    blocks, inner, place = _PLACES[theirs, name]
    return f"{blocks}.{index}.{inner}", place


def stranger(name: str) -> ModelFileError:
    """The error for what is none of the model's blocks' modules."""
    hint = "the LoRA is of another model, or trains more than the blocks"
    return ModelFileError(f"{name}: is no module of HunyuanVideo's blocks", hint=hint)


def _from_native(name: str) -> tuple[str, str]:
    """ "lora_unet_double_blocks_0_img_mlp_fc1.alpha" -> "double_blocks.0.img_mlp.fc1", "alpha"."""
    flat, _, part = name.partition(".")
    match = re.fullmatch(rf"{NATIVE_PREFIX}(double_blocks|single_blocks)_(\d+)_(\w+)", flat)
    if match is None or match[3] not in _DOTTED[match[1]]:
        raise stranger(name)
    return f"{match[1]}.{match[2]}.{_DOTTED[match[1]][match[3]]}", part


def _from_dotted(name: str) -> tuple[str, str]:
    """ "diffusion_model.double_blocks.0.img_mlp.fc1.lora_A.default.weight" -> the module, "lora_down.weight"."""
    inner = re.sub(r"^(diffusion_model|transformer)\.", "", name)
    if match := re.fullmatch(r"(.+)\.(lora_A|lora_B)(?:\.\w+)?\.weight", inner):
        return match[1], _PARTS[match[2]]
    match = re.fullmatch(r"(.+)\.(alpha|lora_down\.weight|lora_up\.weight|(?:hada|lokr)_\w+)", inner)
    if match is None:
        raise ModelFileError(f"{name}: is no part of a LoRA", hint="wanted lora_A.weight, lora_B.weight, alpha")
    return match[1], match[2]
