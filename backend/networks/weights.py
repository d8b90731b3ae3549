"""LoRA weights out of files: both ways of naming, the size of each module, and merging into a transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

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


@dataclass(frozen=True)
class MergedLoRA:
    """A LoRA that is added to the weights of a transformer while they are read, at some strength."""

    tensors: Mapping[str, Tensor]
    multiplier: float

    def __call__(self, module_name: str, weight: Tensor) -> Tensor:
        """The weight (out, in) of that Linear with the LoRA added; a new tensor where there is something to add.

        Raises ModelFileError if the shapes do not fit.
        """
        name = lora_name(module_name)
        down, up = (self.tensors.get(f"{name}.{part}.weight") for part in ("lora_down", "lora_up"))
        if down is None or up is None:
            return weight
        alpha = self.tensors.get(f"{name}.alpha")
        try:
            return merge_into(
                weight.clone(),
                down=down,
                up=up,
                alpha=None if alpha is None else float(alpha),
                multiplier=self.multiplier,
            )
        except ValueError as error:
            raise ModelFileError(f"{name}: {error}", hint="the LoRA was made for another model") from error

    def unused(self, modules: Sequence[LinearModule]) -> list[Problem]:
        """A warning for parts of the file that belong to none of the modules. Raises ModelFileError if all do."""
        names = {name.partition(".")[0] for name in self.tensors}
        unused = sorted(names - {lora_name(module.name) for module in modules})
        if len(unused) == len(names):
            message = f"none of the LoRA's {len(names)} modules is in the transformer, for example {unused[0]}"
            raise ModelFileError(message, hint="the file was made for another model")
        if not unused:
            return []
        message = f"{len(unused)} modules of the LoRA are not in the transformer, for example {unused[0]}"
        return [Problem(message, severity="warning")]
