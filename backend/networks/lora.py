"""LoRA: a trainable low-rank addition to Linear modules of a frozen transformer (Hu et al. 2021, arXiv:2106.09685)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from backend.errors import ModelFileError, OptionError, Problem
from backend.plan.selection import lora_name


@dataclass(frozen=True)
class Dropouts:
    """What is left out at random while training, each a chance in [0, 1).

    neuron: single numbers between the matrices. rank: a rank, for all tokens of an item. module: the whole module.
    """

    neuron: float = 0.0
    rank: float = 0.0
    module: float = 0.0


NO_DROPOUT = Dropouts()


@dataclass(frozen=True)
class WeightNorms:
    """What `LoRANetwork.limit_weight_norms` found: modules scaled down; mean and largest norm after it."""

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


class LoRALinear(nn.Module):
    """A frozen Linear with a trainable low-rank addition: base(x) + up(down(x)) * scale, scale = alpha / rank.

    x: (..., in_features). Returns (..., out_features) in the dtype of the base's output. The LoRA weights are float32,
    created on the CPU, so that a seed gives the same values on every device, and moved to the base's device.
    """

    def __init__(
        self,
        base: nn.Linear,
        *,
        rank: int,
        alpha: float,
        dropouts: Dropouts = NO_DROPOUT,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.rank = rank
        self.scale = alpha / rank
        self.lora_down = skip_init(nn.Linear, base.in_features, rank, bias=False, dtype=torch.float32)
        self.lora_up = skip_init(nn.Linear, rank, base.out_features, bias=False, dtype=torch.float32)
        self.dropouts = dropouts
        self.register_buffer("alpha", torch.tensor(float(alpha)))
        nn.init.kaiming_uniform_(self.lora_down.weight, a=math.sqrt(5), generator=generator)
        nn.init.zeros_(self.lora_up.weight)
        self.to(base.weight.device)

    def forward(self, x: Tensor) -> Tensor:
        base_out = self.base(x)
        if self.training and self.dropouts.module and torch.rand(()).item() < self.dropouts.module:
            return base_out
        if not torch.is_autocast_enabled(x.device.type):
            x = x.to(self.lora_down.weight.dtype)
        inner = self.lora_down(x)
        if self.training:
            inner = self._dropped(inner)
        # Scaling between the matrices touches rank numbers a token instead of out_features.
        delta = self.lora_up(inner * self.scale)
        return (base_out + delta).to(base_out.dtype)

    def _dropped(self, inner: Tensor) -> Tensor:
        """The numbers between the matrices, (B, ..., rank), some of them zero and the others larger for it."""
        if self.dropouts.neuron:
            inner = nn.functional.dropout(inner, self.dropouts.neuron)
        if self.dropouts.rank:
            kept = torch.rand(len(inner), self.rank, device=inner.device) > self.dropouts.rank
            kept = kept.view(len(inner), *[1] * (inner.ndim - 2), self.rank)  # alike for all tokens of an item
            inner = inner * kept / (1 - self.dropouts.rank)
        return inner

    def weight_norm(self) -> Tensor:
        """The Frobenius norm of the change of the weight, scale * up @ down, which is never computed itself.

        |U D|^2 is the sum over (U^T U) * (D D^T), matrices of (rank, rank).
        """
        down, up = self.lora_down.weight.detach(), self.lora_up.weight.detach()
        squared = ((up.T @ up) * (down @ down.T)).sum().clamp(min=0)
        return self.scale * squared.sqrt()

    def set_alpha(self, alpha: float) -> None:
        """Change alpha, and with it the scale."""
        self.alpha.fill_(alpha)
        self.scale = alpha / self.rank


class LoRANetwork:
    """The LoRA modules of one transformer, by their names in a LoRA file, in the order of the transformer.

    The modules are children of the transformer: its forward uses them and `transformer.to(device)` moves them.
    """

    def __init__(self, layers: Mapping[str, LoRALinear]) -> None:
        self.layers = dict(layers)

    @property
    def trainable_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for parameter in self.parameters())

    def named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """The trained matrices with their names in a LoRA file."""
        named = []
        for name, layer in self.layers.items():
            named.append((f"{name}.lora_down.weight", layer.lora_down.weight))
            named.append((f"{name}.lora_up.weight", layer.lora_up.weight))
        return named

    def parameters(self) -> list[nn.Parameter]:
        """The trained matrices: down and up of each module in turn."""
        return [parameter for _, parameter in self.named_parameters()]

    def parameter_groups(self, learning_rate: float, loraplus_lr_ratio: float | None = None) -> list[dict]:
        """Parameter groups for an optimizer: "unet", and with a ratio "unet plus" for the up matrices.

        The up matrices learn at ratio times the rate. Raises OptionError if the ratio is not positive.
        Source: LoRA+ (Hayou et al. 2024, arXiv:2402.12354).
        """
        named = self.named_parameters()
        if loraplus_lr_ratio is None:
            return [_group("unet", learning_rate, named)]
        if not loraplus_lr_ratio > 0:
            raise OptionError(
                f"loraplus_lr_ratio is {loraplus_lr_ratio}, but has to be greater than 0",
                hint="leave it empty to train both matrices at the same rate",
                option="loraplus_lr_ratio",
            )
        down = [(name, parameter) for name, parameter in named if ".lora_down." in name]
        up = [(name, parameter) for name, parameter in named if ".lora_up." in name]
        return [_group("unet", learning_rate, down), _group("unet plus", learning_rate * loraplus_lr_ratio, up)]

    def to(self, device: torch.device) -> None:
        """Move what is trained, and only that, to a device."""
        for layer in self.layers.values():
            for tensor in (layer.lora_down.weight, layer.lora_up.weight, layer.alpha):
                tensor.data = tensor.data.to(device)

    def train(self, mode: bool = True) -> LoRANetwork:
        """Turn dropout on or off, whatever mode the transformer is in."""
        for layer in self.layers.values():
            layer.train(mode)
        return self

    @torch.no_grad()
    def limit_weight_norms(self, limit: float) -> WeightNorms:
        """Scale down the modules whose change of the weights has a norm above the limit, both matrices alike."""
        layers = list(self.layers.values())
        norms = torch.stack([layer.weight_norm() for layer in layers])
        ratios = (limit / norms.clamp(min=limit)).sqrt()
        for layer, ratio in zip(layers, ratios.tolist(), strict=True):
            if ratio < 1:
                layer.lora_down.weight.mul_(ratio)
                layer.lora_up.weight.mul_(ratio)
        limited = norms.clamp(max=limit)
        return WeightNorms(int((norms > limit).sum()), limited.mean().item(), limited.max().item())

    def state_dict(self) -> dict[str, Tensor]:
        """What a LoRA file holds: the live matrices, not copies, and alpha, for each module."""
        tensors = {name: parameter.detach() for name, parameter in self.named_parameters()}
        return tensors | {f"{name}.alpha": layer.alpha for name, layer in self.layers.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> list[Problem]:
        """Take over the weights of a LoRA file, its alpha and so its scale; a missing alpha is the rank.

        Returns a warning for modules that the file lacks (they keep their values), and for those only the file has.
        Raises ModelFileError, with nothing changed, if a rank or shape differs or nothing in the file fits.
        """
        in_file = {key.split(".", 1)[0] for key in tensors}
        found = {name: layer for name, layer in self.layers.items() if name in in_file}
        if not found:
            raise _nothing_fits(tensors)
        faults = [fault for name, layer in found.items() for fault in _faults(name, layer, tensors)]
        if faults:
            raise ModelFileError.of(_first_of_each_kind(faults))
        for name, layer in found.items():
            _load_layer(layer, name, tensors)
        return _unmatched(sorted(self.layers.keys() - in_file), sorted(in_file - self.layers.keys()))


def create_lora(
    transformer: nn.Module,
    module_names: Iterable[str],
    *,
    rank: int,
    alpha: float | None = None,
    dropouts: Dropouts = NO_DROPOUT,
    generator: torch.Generator | None = None,
    sizes: Mapping[str, tuple[int, float]] | None = None,
) -> LoRANetwork:
    """Freeze the transformer and put a LoRALinear in the place of each named Linear.

    module_names: dotted names as in `LinearModule.name`. alpha: None or 0 means the rank. generator: a CPU generator
    for the down matrices; the up matrices are zero. sizes: rank and alpha of single modules, before those of all.
    Raises OptionError for a rank below 1, a negative alpha, or no modules; ValueError for a name that is no Linear.
    """
    names = list(module_names)
    _check_options(names, rank=rank, alpha=alpha, dropouts=dropouts)
    bases = {name: _linear(transformer, name) for name in names}
    transformer.requires_grad_(False)
    layers = {}
    for name, base in bases.items():
        own_rank, own_alpha = (sizes or {}).get(name, (rank, alpha))
        layer = LoRALinear(base, rank=own_rank, alpha=own_alpha or own_rank, dropouts=dropouts, generator=generator)
        transformer.set_submodule(name, layer)
        layers[lora_name(name)] = layer
    return LoRANetwork(layers)


def _check_options(names: list[str], *, rank: int, alpha: float | None, dropouts: Dropouts) -> None:
    if rank < 1:
        raise OptionError(f"network_dim is {rank}, but the rank has to be at least 1", option="network_dim")
    if alpha is not None and not 0 <= alpha < math.inf:
        raise OptionError(
            f"network_alpha is {alpha}, but has to be 0 (same as the rank) or more", option="network_alpha"
        )
    chances = {"network_dropout": dropouts.neuron, "rank_dropout": dropouts.rank, "module_dropout": dropouts.module}
    for name, chance in chances.items():
        if not 0 <= chance < 1:
            raise OptionError(f"{name} is {chance}, but has to be at least 0 and below 1", option=name)
    if not names:
        raise OptionError(
            "no module is left to train",
            hint="remove a pattern from exclude_patterns, or bring modules back with include_patterns",
            option="exclude_patterns",
        )


def _linear(transformer: nn.Module, name: str) -> nn.Linear:
    try:
        module = transformer.get_submodule(name)
    except AttributeError as error:
        raise ValueError(f"{name} is not in the transformer") from error
    if not isinstance(module, nn.Linear):
        raise ValueError(f"{name} is a {type(module).__name__}, not a Linear")
    return module


def _group(name: str, learning_rate: float, named: list[tuple[str, nn.Parameter]]) -> dict:
    return {
        "params": [parameter for _, parameter in named],
        "lr": learning_rate,
        "name": name,
        "param_names": [key for key, _ in named],
    }


def _load_layer(layer: LoRALinear, name: str, tensors: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        layer.lora_down.weight.copy_(tensors[f"{name}.lora_down.weight"])
        layer.lora_up.weight.copy_(tensors[f"{name}.lora_up.weight"])
        alpha = tensors.get(f"{name}.alpha")
        layer.set_alpha(layer.rank if alpha is None else float(alpha) or layer.rank)


def _faults(name: str, layer: LoRALinear, tensors: Mapping[str, Tensor]) -> list[tuple[str, Problem]]:
    """What keeps one module of a file from being loaded, each with its kind."""
    down, up = tensors.get(f"{name}.lora_down.weight"), tensors.get(f"{name}.lora_up.weight")
    if down is None or up is None:
        missing = "lora_down.weight" if down is None else "lora_up.weight"
        return [("missing", Problem(f"{name}: {missing} is missing in the LoRA file", "the file is of another kind"))]
    if down.ndim == 2 and down.shape[0] != layer.rank:
        message = f"{name}: the LoRA file has rank {down.shape[0]}, but network_dim is {layer.rank}"
        return [("rank", Problem(message, _RANK_HINT.format(down.shape[0]), "network_dim"))]
    wanted = {"lora_down.weight": layer.lora_down.weight, "lora_up.weight": layer.lora_up.weight}
    faults = []
    for part, tensor in (("lora_down.weight", down), ("lora_up.weight", up)):
        if tensor.shape != wanted[part].shape:
            found, right = tuple(tensor.shape), tuple(wanted[part].shape)
            message = f"{name}.{part}: the LoRA file has shape {found}, but {right} is wanted"
            faults.append(("shape", Problem(message, "the file was made for another model")))
    alpha = tensors.get(f"{name}.alpha")
    if alpha is not None and alpha.numel() != 1:
        faults.append(("alpha", Problem(f"{name}.alpha: one number is wanted, but the shape is {tuple(alpha.shape)}")))
    return faults


_RANK_HINT = "set network_dim to {}, or switch dim_from_weights on"


def _first_of_each_kind(faults: list[tuple[str, Problem]]) -> list[Problem]:
    """One problem for each kind of fault: 240 modules of a wrong rank are one mistake."""
    first: dict[str, Problem] = {}
    for kind, problem in faults:
        first.setdefault(kind, problem)
    return list(first.values())


def _nothing_fits(tensors: Mapping[str, Tensor]) -> ModelFileError:
    example = next(iter(tensors), "nothing")
    return ModelFileError(
        f"the LoRA file has none of the modules to train; it holds {example}",
        hint="its keys have to begin with lora_unet_, and the patterns have to select some of its modules",
    )


def _unmatched(missing: list[str], unused: list[str]) -> list[Problem]:
    problems = []
    if missing:
        message = f"{len(missing)} modules are not in the LoRA file and start untrained, for example {missing[0]}"
        problems.append(Problem(message, severity="warning"))
    if unused:
        message = f"{len(unused)} modules of the LoRA file are not trained and left out, for example {unused[0]}"
        problems.append(Problem(message, severity="warning"))
    return problems
