"""A network: the trainable additions to many Linear modules of a frozen transformer, LoRA, LoHa or LoKr alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backend.errors import OptionError, Problem
from backend.networks.adapter import NO_DROPOUT, Adapter, Dropouts
from backend.plan.adapter_files import by_module, loading_problems, refuse_errors
from backend.plan.adapters import AdapterSize
from backend.plan.selection import lora_name


@dataclass(frozen=True)
class WeightNorms:
    """What `Network.limit_weight_norms` found: modules scaled down; mean and largest norm after it."""

    scaled: int
    mean: float
    largest: float

    def log_values(self) -> dict[str, float]:
        """The values under the tags that musubi-tuner logs them by."""
        return {
            "max_norm/keys_scaled": float(self.scaled),
            "max_norm/average_key_norm": self.mean,
            "max_norm/max_key_norm": self.largest,
        }


class Network:
    """The additions to one transformer, by their names in a LoRA file, in the order of the transformer.

    They are children of the transformer: its forward uses them and `transformer.to(device)` moves them.
    """

    def __init__(self, layers: Mapping[str, Adapter]) -> None:
        self.layers = dict(layers)
        self._named_parameters = [
            (f"{name}.{part}", matrix) for name, layer in self.layers.items() for part, matrix in layer.parts().items()
        ]

    @property
    def trainable_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for parameter in self.parameters())

    def named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """The trained matrices with their names in a LoRA file."""
        return list(self._named_parameters)

    def parameters(self) -> list[nn.Parameter]:
        """The trained matrices, those of each module in turn."""
        return [parameter for _, parameter in self._named_parameters]

    def parameter_groups(self, learning_rate: float, loraplus_lr_ratio: float | None = None) -> list[dict]:
        """Parameter groups for an optimizer: "unet", and with a ratio "unet plus" for the up matrices of LoRA.

        The up matrices learn at ratio times the rate. Raises OptionError if the ratio is not positive, or the network
        has no up matrices. Source: LoRA+ (Hayou et al. 2024, arXiv:2402.12354).
        """
        named = self.named_parameters()
        if loraplus_lr_ratio is None:
            return [_group("unet", learning_rate, named)]
        up = [(name, parameter) for name, parameter in named if ".lora_up." in name]
        if not loraplus_lr_ratio > 0 or not up:
            fault = "has to be greater than 0" if up else "the network has no up matrices"
            raise OptionError(
                f"loraplus_lr_ratio is {loraplus_lr_ratio}, but {fault}",
                hint="leave it empty to train all matrices at the same rate",
                option="loraplus_lr_ratio",
            )
        others = [(name, parameter) for name, parameter in named if ".lora_up." not in name]
        return [_group("unet", learning_rate, others), _group("unet plus", learning_rate * loraplus_lr_ratio, up)]

    def to(self, device: torch.device) -> None:
        """Move what is trained, and only that, to a device."""
        for layer in self.layers.values():
            for tensor in (*layer.parts().values(), layer.alpha):
                tensor.data = tensor.data.to(device)

    def train(self, mode: bool = True) -> Network:
        """Turn dropout on or off, whatever mode the transformer is in."""
        for layer in self.layers.values():
            layer.train(mode)
        return self

    @torch.no_grad()
    def limit_weight_norms(self, limit: float) -> WeightNorms:
        """Scale down the modules whose change of the weights has a norm above the limit."""
        layers = list(self.layers.values())
        norms = torch.stack([layer.weight_norm() for layer in layers])
        ratios = limit / norms.clamp(min=limit)
        for layer, ratio in zip(layers, ratios.tolist(), strict=True):
            if ratio < 1:
                layer.shrink(ratio)
        limited = norms.clamp(max=limit)
        return WeightNorms(int((norms > limit).sum()), limited.mean().item(), limited.max().item())

    def state_dict(self) -> dict[str, Tensor]:
        """What a LoRA file holds: the live matrices, not copies, and alpha, for each module."""
        tensors = {name: parameter.detach() for name, parameter in self._named_parameters}
        return tensors | {f"{name}.alpha": layer.alpha for name, layer in self.layers.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> list[Problem]:
        """Take over the weights of a file, its alpha and so its scale; a missing alpha is the rank.

        Returns a warning for modules that the file lacks (they keep their values), and for those only the file has.
        Raises ModelFileError, with nothing changed, if the file holds another kind of network, a rank or shape differs,
        or nothing fits.
        """
        sizes = {name: layer.size for name, layer in self.layers.items()}
        problems = loading_problems(sizes, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
        refuse_errors(problems)
        modules = by_module(tensors)
        for name, layer in self.layers.items():
            if name in modules:
                layer.load(modules[name])
        return problems


def attach_network(
    transformer: nn.Module,
    sizes: Mapping[str, AdapterSize],
    *,
    adapter: type[Adapter],
    dropouts: Dropouts = NO_DROPOUT,
    generator: torch.Generator | None = None,
) -> Network:
    """Freeze the transformer and put an adapter in the place of each named Linear.

    sizes: by dotted names as in `LinearModule.name`, all of the adapter's kind. generator: a CPU generator for the
    matrices that do not start at zero. Raises OptionError for an impossible dropout or no modules; ValueError for a
    name that is no Linear.
    """
    _check_dropouts(dropouts)
    if not sizes:
        raise OptionError(
            "no module is left to train",
            hint="remove a pattern from exclude_patterns, or bring modules back with include_patterns",
            option="exclude_patterns",
        )
    bases = {name: find_linear(transformer, name) for name in sizes}
    transformer.requires_grad_(False)
    layers = {}
    for name, base in bases.items():
        layer = adapter.of_size(base, sizes[name], dropouts=dropouts, generator=generator)
        transformer.set_submodule(name, layer)
        layers[lora_name(name)] = layer
    return Network(layers)


def find_linear(transformer: nn.Module, name: str) -> nn.Linear:
    """The Linear of that name. Raises ValueError if it is none."""
    try:
        module = transformer.get_submodule(name)
    except AttributeError as error:
        raise ValueError(f"{name} is not in the transformer") from error
    if not isinstance(module, nn.Linear):
        raise ValueError(f"{name} is a {type(module).__name__}, not a Linear")
    return module


def _check_dropouts(dropouts: Dropouts) -> None:
    chances = {"network_dropout": dropouts.neuron, "rank_dropout": dropouts.rank, "module_dropout": dropouts.module}
    for name, chance in chances.items():
        if not 0 <= chance < 1:
            raise OptionError(f"{name} is {chance}, but has to be at least 0 and below 1", option=name)


def _group(name: str, learning_rate: float, named: list[tuple[str, nn.Parameter]]) -> dict:
    return {
        "params": [parameter for _, parameter in named],
        "lr": learning_rate,
        "name": name,
        "param_names": [key for key, _ in named],
    }
