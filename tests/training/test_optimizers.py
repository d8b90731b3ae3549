"""Optimizers by name."""

import importlib.util

import pytest
import torch

from backend.errors import OptionError
from backend.training.optimizers import (
    check_optimizer,
    has_training_mode,
    make_optimizer,
    optimizer_class,
    optimizer_log_values,
    optimizer_name,
    set_training_mode,
)

LEARNING = {
    "adamw": {}, "SGD": {"momentum": 0.9}, "adafactor": {"relative_step": False}, "prodigy": {"d0": 0.1}, "lion": {},
    "adamwschedulefree": {}, "torch.optim.adamw.AdamW": {"amsgrad": True}, "RAdamScheduleFree": {},
}  # fmt: skip


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
    with pytest.raises(
        OptionError, match=r"optimizer_type is adamv, which torch\.optim does not have \(known are adamw"
    ):
        make_optimizer("adamv", groups(), arguments={})


def test_the_name_in_the_metadata_is_the_class_with_its_arguments():
    optimizer = make_optimizer("adamw", groups(), arguments={})
    assert optimizer_name(optimizer, {}) == "torch.optim.adamw.AdamW"
    assert optimizer_name(optimizer, {"weight_decay": 0.1, "betas": (0.9, 0.99)}) == (
        "torch.optim.adamw.AdamW(weight_decay=0.1,betas=(0.9, 0.99))"
    )


@pytest.mark.parametrize("name", LEARNING)
def test_every_optimizer_learns_from_the_groups_of_a_network(name):
    start = [{**groups()[0], "lr": 1.0}] if name == "prodigy" else groups()
    optimizer = make_optimizer(name, start, arguments=LEARNING[name])
    set_training_mode(optimizer, True)
    parameters = [group["params"][0] for group in optimizer.param_groups]
    losses = []
    for _ in range(60):
        loss = sum((parameter - 0.5).square().sum() for parameter in parameters)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert [group["name"] for group in optimizer.param_groups] == ["unet", "unet plus"][: len(start)]


@pytest.mark.parametrize("name", LEARNING)
def test_what_is_checked_before_a_training_is_what_it_will_do(name):
    check_optimizer(name, arguments=LEARNING[name])
    with pytest.raises(OptionError, match=r"cannot make a step|does not take"):
        check_optimizer(name, arguments={**LEARNING[name], "nonsense": 1})


@pytest.mark.parametrize("name", ["prodigy", "adafactor"])
def test_an_optimizer_with_one_rate_for_all_refuses_lora_plus(name):
    check_optimizer(name, arguments={})
    with pytest.raises(OptionError) as caught:
        check_optimizer(name, arguments={}, rates=(1e-3, 4e-3))
    assert caught.value.problems[0].option == "loraplus_lr_ratio"
    assert name in str(caught.value)


def test_a_library_that_is_missing_is_an_error_with_the_line_that_installs_it():
    with pytest.raises(OptionError, match=r"library nowhere cannot be imported.*pip install nowhere"):
        optimizer_class("nowhere.optim.Optimizer")


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="it is installed")
def test_an_8bit_optimizer_asks_for_bitsandbytes():
    with pytest.raises(OptionError, match=r"PagedLion8bit, but the library bitsandbytes.*pip install bitsandbytes"):
        optimizer_class("PagedLion8bit")


@pytest.mark.parametrize("name", ["torch.optim.NoClass", "torch.optim.lr_scheduler"])
def test_a_path_without_a_class_is_refused(name):
    with pytest.raises(OptionError, match="has no class"):
        optimizer_class(name)


def test_an_optimizer_that_cannot_train_so_is_told_before():
    with pytest.raises(OptionError, match=r"LBFGS .* cannot make a step"):
        check_optimizer("LBFGS", arguments={})


def test_prodigy_tells_its_real_rate():
    optimizer = make_optimizer("prodigy", groups()[:1], arguments={"d0": 1e-2})
    assert optimizer_log_values(optimizer) == {"lr/d*lr/unet": pytest.approx(1e-5)}
    assert optimizer_log_values(make_optimizer("adamw", groups(), arguments={})) == {}


def test_schedule_free_weights_are_used_elsewhere_than_trained():
    optimizer = make_optimizer("adamwschedulefree", groups(), arguments={"warmup_steps": 0})
    assert has_training_mode(optimizer) and not has_training_mode(make_optimizer("adamw", groups(), arguments={}))
    set_training_mode(optimizer, True)
    parameter = optimizer.param_groups[0]["params"][0]
    for _ in range(3):
        parameter.grad = torch.ones(2)
        optimizer.step()
    trained_at = parameter.detach().clone()
    set_training_mode(optimizer, False)
    assert not torch.equal(parameter, trained_at)
