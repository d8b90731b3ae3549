"""Optimizers: from the option's name and arguments to an optimizer over the network's parameter groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from backend.errors import OptionError
from backend.training.libraries import import_library

Groups = Sequence[Mapping[str, Any]]

_CLASSES = {
    "adafactor": "transformers.optimization.Adafactor",
    "prodigy": "prodigyopt.Prodigy",
    "lion": "lion_pytorch.Lion",
    "adamwschedulefree": "schedulefree.AdamWScheduleFree",
    "radamschedulefree": "schedulefree.RAdamScheduleFree",
    "sgdschedulefree": "schedulefree.SGDScheduleFree",
}
"""The short names of optimizers that are not torch's; names ending in 8bit are bitsandbytes'."""


def make_optimizer(name: str, groups: Groups, *, arguments: Mapping[str, Any]) -> Optimizer:
    """An optimizer of that name: a short name, a class of torch.optim, or a dotted path; case matters in paths only.

    groups: each with its own rate under "lr". Raises OptionError for a name that is not known, a library that is not
    installed, or an argument that the optimizer does not take.
    """
    kind = optimizer_class(name)
    groups = [dict(group) for group in groups]
    try:
        return kind(groups, **{**_defaults(kind, arguments), **arguments})
    except (TypeError, ValueError, RuntimeError) as error:
        raise OptionError(
            f"{name} does not take {dict(arguments)}: {error}", hint="mend optimizer_args", option="optimizer_args"
        ) from error


def optimizer_class(name: str) -> type[Optimizer]:
    """The class that a value of optimizer_type means. Raises OptionError as `make_optimizer`."""
    lower = name.lower()
    if lower.endswith("8bit") and "." not in name:
        return _class_of(import_library("bitsandbytes.optim", option="optimizer_type", value=name), lower, name)
    path = _CLASSES.get(lower, name)
    if "." not in path:
        return _class_of(torch.optim, lower, name)
    module, _, class_name = path.rpartition(".")
    found = getattr(import_library(module, option="optimizer_type", value=name), class_name, None)
    if not isinstance(found, type):
        raise OptionError(
            f"optimizer_type is {name}, but {module} has no class {class_name}",
            hint="check the path",
            option="optimizer_type",
        )
    return found


def check_optimizer(name: str, *, arguments: Mapping[str, Any], rates: Sequence[float] = (1e-3,)) -> None:
    """Raise what the training would, before any model is loaded: an optimizer is made and tries one step.

    rates: the learning rate of each parameter group; LoRA+ has two. Raises OptionError.
    """
    _check_adafactor(name, arguments=arguments, rates=rates)
    _try(name, arguments=arguments, rates=rates[:1])
    if len(rates) == 1:
        return
    try:
        _try(name, arguments=arguments, rates=rates)
    except OptionError as error:
        raise OptionError(
            f"optimizer_type {name} does not work with loraplus_lr_ratio: {error.problems[0].message}",
            hint="clear loraplus_lr_ratio, or choose another optimizer",
            option="loraplus_lr_ratio",
        ) from error


def sets_its_own_rate(name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether the optimizer takes no notice of the learning rate: adafactor with relative_step, its default."""
    return name.lower() == "adafactor" and bool(arguments.get("relative_step", True))


def optimizer_name(optimizer: Optimizer, arguments: Mapping[str, Any]) -> str:
    """The optimizer as a LoRA's metadata tells it: `torch.optim.adamw.AdamW(weight_decay=0.1)`."""
    given = ",".join(f"{key}={value}" for key, value in arguments.items())
    kind = type(getattr(optimizer, "optimizer", optimizer))  # of accelerate's wrapper what it wraps
    return f"{kind.__module__}.{kind.__name__}" + (f"({given})" if given else "")


def optimizer_log_values(optimizer: Optimizer) -> dict[str, float]:
    """What is logged beside the learning rates: for each group the real rate, where an optimizer estimates a factor."""
    values = {}
    for group in optimizer.param_groups:
        if "d" in group:
            name = group.get("name", "unet")
            values[f"lr/d*lr/{name}"] = float(group["d"]) * float(group["lr"])
            if "effective_lr" in group:
                values[f"lr/d*eff_lr/{name}"] = float(group["d"]) * float(group["effective_lr"])
    return values


def has_training_mode(optimizer: Optimizer) -> bool:
    """Whether the optimizer trains at another point than the one to be used: the schedule-free ones."""
    plain = getattr(optimizer, "optimizer", optimizer)  # accelerate's wrapper has the methods for all
    return callable(getattr(plain, "train", None)) and callable(getattr(plain, "eval", None))


def set_training_mode(optimizer: Optimizer, training: bool) -> None:
    """Put the weights where a schedule-free optimizer trains, or where they are to be used; others are left alone."""
    if has_training_mode(optimizer):
        plain = getattr(optimizer, "optimizer", optimizer)
        plain.train() if training else plain.eval()


def _defaults(kind: type[Optimizer], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that differ from the class's own defaults.

    AdamW fused takes a quarter of the time of its loop for the matrices of a LoRA, on a CPU too, where foreach takes
    more than the loop. Adafactor's constructor wants to be told what its groups say.
    """
    if kind is torch.optim.AdamW and not {"fused", "foreach", "capturable", "differentiable"} & set(arguments):
        return {"fused": True}
    if kind.__name__ == "Adafactor" and kind.__module__.startswith("transformers."):
        relative = arguments.get("relative_step", True) or arguments.get("warmup_init", False)
        return {"relative_step": relative, "lr": None if relative else 1e-3}
    return {}


def _check_adafactor(name: str, *, arguments: Mapping[str, Any], rates: Sequence[float]) -> None:
    if not sets_its_own_rate(name, arguments) or len(rates) == 1:
        return
    raise OptionError(
        "adafactor with relative_step sets one rate for all weights, but loraplus_lr_ratio asks for two",
        hint="add relative_step=False to optimizer_args, or clear loraplus_lr_ratio",
        option="loraplus_lr_ratio",
    )


def _try(name: str, *, arguments: Mapping[str, Any], rates: Sequence[float]) -> None:
    """Make the optimizer and let it change small weights once.

    Those of bitsandbytes are only made: before 0.50 they step on a GPU alone.
    """
    groups = [{"params": [torch.zeros(4, 4, requires_grad=True)], "lr": rate} for rate in rates]
    optimizer = make_optimizer(name, groups, arguments=arguments)
    if type(optimizer).__module__.startswith("bitsandbytes"):
        return
    set_training_mode(optimizer, True)
    for group in groups:
        group["params"][0].grad = torch.ones(4, 4)
    try:
        optimizer.step()
    except Exception as error:
        raise OptionError(
            f"{name} with {dict(arguments)} cannot make a step: {error}",
            hint="mend optimizer_args, or choose another optimizer",
            option="optimizer_args",
        ) from error


def _class_of(module: Any, lower: str, name: str) -> type[Optimizer]:
    """A class of a module, whatever the case of its name."""
    for attribute, value in vars(module).items():
        if attribute.lower() == lower and isinstance(value, type) and issubclass(value, Optimizer):
            return value
    raise OptionError(
        f"optimizer_type is {name}, which {module.__name__} does not have",
        hint=f"known are adamw, {', '.join(_CLASSES)}, those of torch.optim and bitsandbytes, and any module.Class",
        option="optimizer_type",
    )
