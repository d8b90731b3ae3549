"""LoRA files in the three namings: musubi-tuner's (default), ComfyUI's, and that of diffusers and PEFT.

    default      lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight, with an alpha for each module
    comfyui      diffusion_model.double_blocks.0.img_attn_qkv.lora_A.weight
    diffusers    transformer.transformer_blocks.0.attn.to_q.lora_A.weight, q, k and v apart

The last two have no alpha: the root of the scale, alpha / rank, is in each matrix. What a module adds to its weight is
the same in all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from backend.errors import ModelFileError
from backend.plan.adapter_files import NATIVE_PREFIX
from backend.plan.adapter_names import (
    BLOCKS,
    DOUBLE_BLOCK,
    SINGLE_BLOCK,
    Naming,
    module_and_part,
    naming_of,
    place_in_blocks,
    stranger,
)
from backend.plan.adapter_parts import fault_of_parts

Modules = dict[str, dict[str, Tensor]]
"""By the names of the released checkpoint, "double_blocks.0.img_attn_qkv", then by lora_down.weight, lora_up.weight and
alpha; for LoHa and LoKr by their own parts."""

MLP_RATIO = 4
"""Rows of proj_mlp for each of to_q, where a file lacks proj_mlp."""


def read_modules(tensors: Mapping[str, Tensor]) -> Modules:
    """The modules of a file in whichever naming, each whole.

    Raises ModelFileError for names that are no module of HunyuanVideo, and for a module that lacks a matrix, or whose
    matrices do not go together.
    """
    naming = naming_of(list(tensors))
    modules: Modules = {}
    for name, tensor in tensors.items():
        module, part = module_and_part(name, naming)
        modules.setdefault(module, {})[part] = tensor
    return _joined(modules) if naming == "diffusers" else {name: _whole(name, parts) for name, parts in modules.items()}


def alpha_of(parts: Mapping[str, Tensor]) -> float:
    """The alpha of a LoRA's module; a missing one, and 0, mean the rank."""
    return float(parts.get("alpha", 0)) or float(len(parts["lora_down.weight"]))


def write_modules(modules: Modules, naming: Naming) -> dict[str, Tensor]:
    """The tensors of a file in that naming. Raises ModelFileError for LoHa and LoKr in diffusers' naming."""
    if naming == "default":
        return {
            f"{NATIVE_PREFIX}{module.replace('.', '_')}.{part}": tensor
            for module, parts in modules.items()
            for part, tensor in _with_alpha(parts).items()
        }
    scaled = {module: _without_alpha(parts) for module, parts in modules.items()}
    if naming == "comfyui":
        return _dotted(scaled, "diffusion_model")
    if any("lora_down.weight" not in parts for parts in modules.values()):
        raise _no_lora()
    return _dotted(_split(scaled), "transformer")


def convert(tensors: Mapping[str, Tensor], naming: Naming) -> dict[str, Tensor]:
    """The same LoRA in another naming, in the dtypes that it has. Raises ModelFileError as its parts do."""
    return write_modules(read_modules(tensors), naming)


def true_metadata(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The metadata with the ranks and alphas that the tensors have now; a naming without alpha means alpha = rank."""
    ranks, alphas = set(), set()
    for parts in read_modules(tensors).values():
        if (down := parts.get("lora_down.weight")) is not None:
            ranks.add(len(down))
            alphas.add(alpha_of(parts))
    told = {"ss_network_dim": ranks, "ss_network_alpha": alphas}
    changed = {name: _told(values) for name, values in told.items() if name in metadata and values}
    return {**metadata, **{name: text for name, text in changed.items() if not _same(metadata[name], text)}}


def _whole(module: str, parts: dict[str, Tensor]) -> dict[str, Tensor]:
    """The parts of a module. Raises ModelFileError if they do not make one."""
    if fault := fault_of_parts(parts):
        raise ModelFileError(f"{module}: {fault}", hint="the file is damaged, or holds a network of another kind")
    return parts


def _no_lora() -> ModelFileError:
    return ModelFileError("diffusers has no LoHa and no LoKr", hint="convert to comfyui, or merge it into the model")


def _dotted(modules: Modules, prefix: str) -> dict[str, Tensor]:
    endings = {"lora_down.weight": "lora_A.weight", "lora_up.weight": "lora_B.weight"}
    return {
        f"{prefix}.{module}.{endings.get(part, part)}": tensor
        for module, parts in modules.items()
        for part, tensor in parts.items()
    }


def _with_alpha(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A missing alpha is the rank, a whole number."""
    if "alpha" in parts or "lora_down.weight" not in parts:
        return dict(parts)
    return {**parts, "alpha": torch.tensor(len(parts["lora_down.weight"]))}


def _without_alpha(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """LoRA's matrices, each times the root of alpha / rank; other networks keep their alpha."""
    if "lora_down.weight" not in parts:
        return dict(parts)
    factor = math.sqrt(alpha_of(parts) / len(parts["lora_down.weight"]))
    return {part: (tensor.float() * factor).to(tensor.dtype) for part, tensor in parts.items() if part != "alpha"}


def _split(modules: Modules) -> Modules:
    """Each module as those of diffusers that take its rows; the down matrix goes to all of them."""
    split: Modules = {}
    for module, parts in modules.items():
        blocks, _, rest = module.partition(".")
        index, _, inner = rest.partition(".")
        theirs, names = BLOCKS.get(blocks, ("", {}))
        if inner not in names:
            raise stranger(module)
        up = parts["lora_up.weight"]
        rows = _rows(inner, len(up), width=parts["lora_down.weight"].shape[1])
        for name, own_up in zip(names[inner], up.split(rows), strict=True):
            own = {"lora_down.weight": parts["lora_down.weight"].clone(), "lora_up.weight": own_up.contiguous()}
            split[f"{theirs}.{index}.{name}"] = own
    return split


def _joined(modules: Modules) -> Modules:
    """Diffusers' modules as ours. Raises ModelFileError for one that is none."""
    found: dict[str, dict[int, dict[str, Tensor]]] = {}
    for module, parts in modules.items():
        ours, place = place_in_blocks(module)
        if "lora_down.weight" not in _whole(module, parts):
            raise _no_lora()
        found.setdefault(ours, {})[place] = _without_alpha(parts)
    return {module: _join(module.split(".", 2)[2], pieces) for module, pieces in found.items()}


def _join(inner: str, pieces: Mapping[int, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """One LoRA of those of the rows. Where all have the same down matrix it stays one, else ranks add up."""
    if len(_names_of(inner)) == 1:
        return dict(pieces[0])
    width = next(iter(pieces.values()))["lora_down.weight"].shape[1]  # what goes into q, k and v has the hidden size
    rows = [width, width, width, *([MLP_RATIO * width] if len(_names_of(inner)) == 4 else [])]
    rows = [len(pieces[place]["lora_up.weight"]) if place in pieces else count for place, count in enumerate(rows)]
    starts = [sum(rows[:place]) for place in range(len(rows))]
    downs = [parts["lora_down.weight"] for parts in pieces.values()]
    shared = all(torch.equal(downs[0], down) for down in downs[1:])
    columns = len(downs[0]) if shared else sum(len(down) for down in downs)
    up, column = downs[0].new_zeros(sum(rows), columns), 0
    for place, parts in pieces.items():
        own = parts["lora_up.weight"]
        up[starts[place] : starts[place] + len(own), column : column + own.shape[1]] = own
        column += 0 if shared else own.shape[1]
    return {"lora_down.weight": downs[0] if shared else torch.cat(downs), "lora_up.weight": up}


def _rows(inner: str, total: int, *, width: int) -> list[int]:
    """How many rows of a module of ours go to each of diffusers': q, k and v have as many as the hidden size."""
    count = len(_names_of(inner))
    return [total] if count == 1 else [width, width, width, *([total - 3 * width] if count == 4 else [])]


def _names_of(inner: str) -> tuple[str, ...]:
    return DOUBLE_BLOCK.get(inner) or SINGLE_BLOCK[inner]


def _told(values: set[float]) -> str:
    """One number, or "Dynamic" for several, as LyCORIS tells it."""
    (*others, last) = sorted(values)
    return "Dynamic" if others else f"{last:g}"


def _same(text: str, other: str) -> bool:
    try:
        return float(text) == float(other)
    except ValueError:
        return text == other
