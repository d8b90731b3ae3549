"""Schedules as torch's schedulers: groups, going on, and classes by their path."""

import pytest
import torch

from backend.errors import OptionError
from backend.plan.learning_rates import ScheduleSettings, list_rates
from backend.training.schedules import fast_forward, make_custom_schedule, make_schedule

SETTINGS = ScheduleSettings("cosine", 3)


def two_groups():
    parameters = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    groups = [{"params": [parameter], "lr": rate} for parameter, rate in zip(parameters, (1e-3, 4e-3), strict=True)]
    return torch.optim.SGD(groups)


def rates(optimizer, scheduler, steps):
    found = []
    for _ in range(steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("name", ["cosine", "polynomial", "rex"])
def test_each_group_follows_the_schedule_from_its_own_rate(name):
    optimizer = two_groups()
    settings = ScheduleSettings(name, 3)
    found = rates(optimizer, make_schedule(optimizer, settings, total_steps=20), 20)
    for index, rate in enumerate((1e-3, 4e-3)):
        listed = [value for _, value in list_rates(settings, learning_rate=rate, total_steps=20)]
        assert [step[index] for step in found] == pytest.approx(listed, rel=1e-12)


def test_a_schedule_goes_on_from_its_state_to_the_last_bit():
    optimizer = two_groups()
    whole = rates(optimizer, make_schedule(optimizer, SETTINGS, total_steps=20), 20)
    first = two_groups()
    scheduler = make_schedule(first, SETTINGS, total_steps=20)
    rates(first, scheduler, 8)
    second = two_groups()
    continued = make_schedule(second, SETTINGS, total_steps=20)
    second.load_state_dict(first.state_dict())
    continued.load_state_dict(scheduler.state_dict())
    assert rates(second, continued, 12) == whole[8:]


def test_a_schedule_can_be_put_where_it_is_after_some_steps():
    optimizer = two_groups()
    whole = rates(optimizer, make_schedule(optimizer, SETTINGS, total_steps=20), 20)
    other = two_groups()
    scheduler = make_schedule(other, SETTINGS, total_steps=20)
    fast_forward(scheduler, 8)
    assert rates(other, scheduler, 12) == whole[8:]


@pytest.mark.parametrize("path", ["StepLR", "torch.optim.lr_scheduler.StepLR"])
def test_a_class_by_its_path_is_made_with_its_arguments(path):
    optimizer = two_groups()
    before = [group["lr"] for group in optimizer.param_groups]
    scheduler = make_custom_schedule(optimizer, path, arguments={"step_size": 2, "gamma": 0.5})
    found = rates(optimizer, scheduler, 5)
    assert [step[0] / before[0] for step in found] == [1, 1, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("StepLR", {"size": 2}, "StepLR does not take"),
        ("NoSuch", {}, "there is no such class"),
        ("nowhere.Schedule", {}, "pip install nowhere"),
        ("ReduceLROnPlateau", {}, "wants a measure of success"),
    ],
)
def test_a_class_that_cannot_be_used_is_told(path, arguments, message):
    with pytest.raises(OptionError, match=message):
        make_custom_schedule(two_groups(), path, arguments=arguments)
