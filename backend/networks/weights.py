"""LoRA weights out of files: both ways of naming, the size of each module, and merging into a transformer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from backend.errors import ModelFileError, Problem
from backend.networks.files import load_lora
from backend.networks.merge import merge_into
from backend.plan.modules import LinearModule
from backend.plan.selection import lora_name

_PREFIXES = ("diffusion_model.", "transformer.")
_ENDINGS = {
    ".lora_A.weight": ".lora_down.weight",
    ".lora_B.weight": ".lora_up.weight",
    ".lora_down.weight": ".lora_down.weight",
    ".lora_up.weight": ".lora_up.weight",
    ".alpha": ".alpha",
}


def read_lora_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a LoRA file under the names that musubi-tuner saves, such as lora_unet_<module>.lora_down.weight.

    Files that name modules with dots behind `diffusion_model.` or `transformer.` are renamed. Raises ModelFileError for
    a file that cannot be read, and for LoHa, LoKr and other names.
    """
    tensors, _ = load_lora(path)
    if all(name.startswith("lora_unet_") for name in tensors):
        renamed = tensors
    else:
        renamed = {native_name(name, path=path): tensor for name, tensor in tensors.items()}
    odd = next((name for name in renamed if not name.endswith(tuple(_ENDINGS.values()))), None)
    if odd is not None:
        raise ModelFileError(f"{path}: {odd} is no part of a LoRA", hint="LoHa and LoKr files cannot be used here yet")
    return renamed


def native_name(name: str, *, path: Path) -> str:
    """`diffusion_model.double_blocks.0.img_mod.linear.lora_A.weight` as musubi-tuner would name it."""
    prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
    ending = next((ending for ending in _ENDINGS if name.endswith(ending)), None)
    if prefix is None or ending is None:
        wanted = "wanted names such as diffusion_model.double_blocks.0.img_mod.linear.lora_A.weight"
        raise ModelFileError(f"{path}: a tensor is called {name}", hint=wanted)
    return lora_name(name[len(prefix) : -len(ending)]) + _ENDINGS[ending]


def module_sizes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, float]]:
    """Rank and alpha of each module, by its name in the file; a missing alpha is the rank."""
    sizes = {}
    for name, tensor in tensors.items():
        module, _, part = name.partition(".")
        if part == "lora_down.weight":
            alpha = tensors.get(f"{module}.alpha")
            sizes[module] = (tensor.shape[0], float(tensor.shape[0] if alpha is None else alpha))
    return sizes


def merge_lora(
    transformer: nn.Module, modules: list[LinearModule], tensors: Mapping[str, Tensor], *, multiplier: float
) -> list[Problem]:
    """Add a LoRA to the weights of the transformer, in place.

    modules: those that a LoRA can have. Returns a warning for parts of the file that belong to none of them; raises
    ModelFileError if all do.
    """
    sizes = module_sizes(tensors)
    for module in modules:
        name = lora_name(module.name)
        if name in sizes:
            merge_into(
                transformer.get_submodule(module.name).weight,
                down=tensors[f"{name}.lora_down.weight"],
                up=tensors[f"{name}.lora_up.weight"],
                alpha=sizes[name][1],
                multiplier=multiplier,
            )
    unused = sorted(sizes.keys() - {lora_name(module.name) for module in modules})
    if len(unused) == len(sizes):
        raise ModelFileError(f"none of the file's {len(sizes)} modules is in the transformer", hint="check the model")
    if not unused:
        return []
    message = f"{len(unused)} modules of the file are not in the transformer, for example {unused[0]}"
    return [Problem(message, severity="warning")]
