"""Learning rate schedules: those of transformers and diffusers, number by number, and what makes none."""

import pytest
import torch
from diffusers.optimization import get_piecewise_constant_schedule
from hypothesis import given
from hypothesis import strategies as st
from transformers import get_scheduler

from backend.errors import OptionError
from backend.plan.learning_rates import SCHEDULES, ScheduleSettings, list_rates, make_factor, schedule_problems

TOTAL, RATE = 60, 2e-3
REFERENCES = {
    "constant": (ScheduleSettings("constant"), {}),
    "constant_with_warmup": (ScheduleSettings("constant_with_warmup", 7), {}),
    "linear": (ScheduleSettings("linear", 7), {}),
    "cosine": (ScheduleSettings("cosine", 0.1, lr_scheduler_num_cycles=3), {}),
    "cosine_with_restarts": (ScheduleSettings("cosine_with_restarts", 5, lr_scheduler_num_cycles=3), {"num_cycles": 3}),
    "polynomial": (ScheduleSettings("polynomial", 5, lr_scheduler_power=2.5), {"power": 2.5}),
    "inverse_sqrt": (ScheduleSettings("inverse_sqrt", 5), {}),
    "inverse_sqrt of 30": (ScheduleSettings("inverse_sqrt", 5, lr_scheduler_timescale=30), {"timescale": 30}),
    "cosine_with_min_lr": (
        ScheduleSettings("cosine_with_min_lr", 5, lr_scheduler_min_lr_ratio=0.1, lr_scheduler_num_cycles=3),
        {"min_lr_rate": 0.1, "num_cycles": 1.5},
    ),
    "warmup_stable_decay": (
        ScheduleSettings("warmup_stable_decay", 5, 0.25, lr_scheduler_min_lr_ratio=0.2),
        {"num_decay_steps": 15, "min_lr_ratio": 0.2, "num_cycles": 0.5},
    ),
}


def rates_of(scheduler, optimizer):
    rates = []
    for _ in range(TOTAL):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def an_optimizer():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)


@pytest.mark.parametrize("name", REFERENCES)
def test_a_schedule_is_that_of_transformers(name):
    settings, arguments = REFERENCES[name]
    optimizer = an_optimizer()
    reference = get_scheduler(
        settings.lr_scheduler,
        optimizer,
        num_warmup_steps=settings.warmup(TOTAL),
        num_training_steps=TOTAL,
        scheduler_specific_kwargs=arguments,
    )
    ours = [rate for _, rate in list_rates(settings, learning_rate=RATE, total_steps=TOTAL)]
    assert ours == pytest.approx(rates_of(reference, optimizer), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("rules", ["1:10,0.1:20,0.01:30,0.005", "0.1:40,0.5:20,1"])
def test_piecewise_constant_is_that_of_diffusers(rules):
    optimizer = an_optimizer()
    reference = get_piecewise_constant_schedule(optimizer, rules)
    settings = ScheduleSettings("piecewise_constant", lr_scheduler_args={"step_rules": rules})
    ours = [rate for _, rate in list_rates(settings, learning_rate=RATE, total_steps=TOTAL)]
    assert ours == pytest.approx(rates_of(reference, optimizer), rel=1e-12)


def test_rex_follows_its_formula_and_rises_from_the_lowest_rate():
    settings = ScheduleSettings("rex", 10, lr_scheduler_min_lr_ratio=0.02)
    factor = make_factor(settings, total_steps=110, learning_rate=RATE)
    assert [factor(step) for step in (0, 5, 10)] == pytest.approx([0.02, 0.51, 1.0])
    left = 0.5
    assert factor(60) == pytest.approx(0.02 + 0.98 * left / (0.1 + 0.9 * left))
    assert factor(110) == pytest.approx(0.02)
    assert max(factor(step) for step in range(111)) == pytest.approx(1.0)


def test_rex_takes_its_two_numbers():
    settings = ScheduleSettings("rex", lr_scheduler_args={"rex_alpha": 0.5, "rex_beta": 0.5})
    factor = make_factor(settings, total_steps=100, learning_rate=RATE)
    assert factor(50) == pytest.approx(0.01 + 0.99 * 0.5 / 0.75)


@given(total=st.integers(1, 300), warmup=st.integers(0, 300), name=st.sampled_from(SCHEDULES))
def test_a_schedule_stays_between_0_and_1_and_peaks_after_the_warm_up(total, warmup, name):
    settings = ScheduleSettings(
        name,
        0 if name == "constant" else min(warmup, total),
        lr_scheduler_min_lr_ratio=0.1,
        lr_scheduler_args={"step_rules": "1:5,0.5"} if name == "piecewise_constant" else {},
    )
    factor = make_factor(settings, total_steps=total, learning_rate=RATE)
    factors = [factor(step) for step in range(total + 1)]
    assert all(0 <= value <= 1 + 1e-12 for value in factors)
    if name != "piecewise_constant" and settings.warmup(total) < total:
        assert factors[settings.warmup(total)] == pytest.approx(1)


def test_a_plan_lists_a_few_points_with_both_ends():
    settings = ScheduleSettings("linear", 10)
    points = list_rates(settings, learning_rate=1e-3, total_steps=1000, points=11)
    assert len(points) == 11
    assert points[0] == (1, 0.0) and points[-1] == (1000, pytest.approx(1e-3 / 990))
    assert len(list_rates(settings, learning_rate=1e-3, total_steps=5000)) == 5000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (ScheduleSettings("constant", 5), "constant has no warm-up"),
        (ScheduleSettings("cosine_with_min_lr"), "needs lr_scheduler_min_lr_ratio"),
        (ScheduleSettings("linear", 101), "101 steps of warm-up, but the training has only 100"),
        (ScheduleSettings("warmup_stable_decay", 0.6, 41), "60 steps of warm-up and 41 of decay, but the training"),
        (ScheduleSettings("rex", lr_scheduler_args={"alpha": 1}), "rex has no argument alpha"),
        (ScheduleSettings("linear", lr_scheduler_args={"power": 1}), "linear has no argument power"),
        (ScheduleSettings("piecewise_constant"), "step_rules of piecewise_constant are missing"),
        (ScheduleSettings("piecewise_constant", lr_scheduler_args={"step_rules": "1:x,2"}), "are '1:x,2'"),
    ],
)
def test_settings_that_make_no_schedule_are_refused(settings, message):
    with pytest.raises(OptionError, match=message):
        make_factor(settings, total_steps=100, learning_rate=RATE)


def test_what_can_be_told_without_the_length_is_told():
    assert schedule_problems(ScheduleSettings("linear", 10**6)) == []
    assert len(schedule_problems(ScheduleSettings("constant", 1))) == 1
