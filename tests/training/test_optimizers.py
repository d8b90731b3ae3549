"""Optimizers by name."""

import pytest
import torch

from backend.errors import OptionError
from backend.training.optimizers import make_optimizer, optimizer_name


def groups():
    return [
        {"params": [torch.nn.Parameter(torch.ones(2))], "lr": 1e-3, "name": "unet"},
        {"params": [torch.nn.Parameter(torch.ones(2))], "lr": 4e-3, "name": "unet plus"},
    ]


def test_every_group_keeps_its_rate_and_name():
    optimizer = make_optimizer("AdamW", groups(), arguments={"weight_decay": 0.1, "betas": (0.9, 0.99)})
    assert isinstance(optimizer, torch.optim.AdamW)
    assert [(group["name"], group["lr"]) for group in optimizer.param_groups] == [("unet", 1e-3), ("unet plus", 4e-3)]
    assert all(group["weight_decay"] == 0.1 and group["betas"] == (0.9, 0.99) for group in optimizer.param_groups)


@pytest.mark.parametrize(
    "arguments",
    [{"nonsense": 1}, {"betas": 0.9}, {"weight_decay": -1}, {"weight_decay": "much"}, {"foreach": True, "fused": True}],
)
def test_an_argument_that_the_optimizer_does_not_take_is_named(arguments):
    with pytest.raises(OptionError) as raised:
        make_optimizer("adamw", groups(), arguments=arguments)
    assert next(iter(arguments)) in str(raised.value)
    assert raised.value.problems[0].option == "optimizer_args"


def test_an_unknown_optimizer_is_refused_with_the_known_ones():
    with pytest.raises(OptionError, match=r"optimizer_type is adam \(known are adamw\)"):
        make_optimizer("adam", groups(), arguments={})


def test_the_name_in_the_metadata_is_the_class_with_its_arguments():
    optimizer = make_optimizer("adamw", groups(), arguments={})
    assert optimizer_name(optimizer, {}) == "torch.optim.adamw.AdamW"
    assert optimizer_name(optimizer, {"weight_decay": 0.1, "betas": (0.9, 0.99)}) == (
        "torch.optim.adamw.AdamW(weight_decay=0.1,betas=(0.9, 0.99))"
    )
