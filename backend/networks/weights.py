"""LoRA, LoHa and LoKr weights out of files, whichever way their modules are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from backend.networks.files import load_lora
from backend.networks.parts import refuse_not_finite
from backend.plan.adapter_files import by_module, native_names, refuse_errors, sizes_in_file
from backend.plan.adapters import AdapterSize
from backend.plan.modules import LinearModule


def read_lora_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file under the names that musubi-tuner saves, such as lora_unet_<module>.lora_down.weight.

    Files that name modules with dots behind `diffusion_model.` or `transformer.` are renamed. Raises ModelFileError for
    a file that cannot be read, for other names, and for values that are not finite.
    """
    tensors, _ = load_lora(path)
    refuse_not_finite(tensors, path=path)
    return {native: tensors[name] for name, native in native_names(tensors, path=path).items()}


def sizes_of(tensors: Mapping[str, Tensor], linears: Sequence[LinearModule]) -> dict[str, AdapterSize]:
    """What the modules of a file are made of, by the names and in the order of the Linears they belong to.

    Ranks, alphas (a missing one is the rank) and LoKr's factors are those of the file; modules that belong to none of
    the Linears are left out. Raises ModelFileError if all do, or a shape fits no such Linear.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    found = {module: parts["alpha"] for module, parts in by_module(tensors).items() if "alpha" in parts}
    alphas = {module: alpha.item() for module, alpha in found.items() if alpha.numel() == 1}
    sizes, problems = sizes_in_file(shapes, linears, alphas=alphas)
    refuse_errors(problems)
    return sizes
