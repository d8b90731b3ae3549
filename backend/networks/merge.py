"""Adding LoRA, LoHa and LoKr files to the weights that they were trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from backend.errors import Problem
from backend.networks.kinds import ADAPTERS
from backend.plan.adapter_files import by_module, kind_of_parts, refuse_errors, sizes_in_file
from backend.plan.modules import LinearModule
from backend.plan.selection import lora_name


@dataclass(frozen=True)
class MergedLoRA:
    """A LoRA, LoHa or LoKr that is added to the weights of a transformer while they are read, at some strength.

    tensors: as `read_lora_weights` gives them.
    """

    tensors: Mapping[str, Tensor]
    multiplier: float

    @torch.no_grad()
    def __call__(self, module_name: str, weight: Tensor) -> Tensor:
        """The weight (out, in) of that Linear with the file's change added, a new tensor; itself if there is none.

        The sum is computed in float32 and rounded once to the dtype of the weight. Raises ModelFileError if the shapes
        do not fit.
        """
        parts = self._modules.get(lora_name(module_name), {})
        kind = kind_of_parts(parts)
        if kind is None:
            return weight
        linear = LinearModule(module_name, in_features=weight.shape[1], out_features=weight.shape[0])
        shapes = {f"{lora_name(module_name)}.{part}": tuple(tensor.shape) for part, tensor in parts.items()}
        refuse_errors(sizes_in_file(shapes, [linear])[1])
        matrices = {part: tensor.to(weight.device, torch.float32) for part, tensor in parts.items()}
        alpha = matrices.pop("alpha", None)
        change = ADAPTERS[kind].change(matrices, None if alpha is None else alpha.item())
        return torch.add(weight.float(), change, alpha=self.multiplier).to(weight.dtype)

    def unused(self, modules: Sequence[LinearModule]) -> list[Problem]:
        """A warning for parts of the file that belong to none of the modules. Raises ModelFileError if all do."""
        shapes = {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}
        problems = sizes_in_file(shapes, modules)[1]
        refuse_errors(problems)
        return problems

    @cached_property
    def _modules(self) -> dict[str, dict[str, Tensor]]:
        return by_module(self.tensors)
