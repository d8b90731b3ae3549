"""Optimizers: from the option's name and arguments to an optimizer over the network's parameter groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.optim import Optimizer

from backend.errors import OptionError


def make_optimizer(name: str, groups: list[dict[str, Any]], *, arguments: Mapping[str, Any]) -> Optimizer:
    """An optimizer of that name. groups: each with its own rate under "lr".

    Raises OptionError for a name that is not known or an argument that the optimizer does not take.
    """
    classes = {"adamw": torch.optim.AdamW}
    if name.lower() not in classes:
        raise OptionError(f"optimizer_type is {name}", hint=f"known are {', '.join(classes)}", option="optimizer_type")
    try:
        return classes[name.lower()](groups, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise OptionError(
            f"{name} does not take {dict(arguments)}: {error}", hint="mend optimizer_args", option="optimizer_args"
        ) from error


def check_optimizer(name: str, *, arguments: Mapping[str, Any]) -> None:
    """Raise what `make_optimizer` would for this name and these arguments, before any model is loaded."""
    make_optimizer(name, [{"params": [torch.zeros(1, requires_grad=True)], "lr": 1e-3}], arguments=arguments)


def optimizer_name(optimizer: Optimizer, arguments: Mapping[str, Any]) -> str:
    """The optimizer as a LoRA's metadata tells it: `torch.optim.adamw.AdamW(weight_decay=0.1)`."""
    given = ",".join(f"{key}={value}" for key, value in arguments.items())
    kind = type(optimizer)
    return f"{kind.__module__}.{kind.__name__}" + (f"({given})" if given else "")
