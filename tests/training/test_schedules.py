import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.training.schedules import schedule_factor, warmup_steps

NAMES = ["constant_with_warmup", "linear", "cosine"]


@pytest.mark.parametrize("name", NAMES)
@given(total=st.integers(1, 500), warmup=st.integers(0, 100))
def test_a_schedule_starts_at_0_peaks_after_the_warm_up_and_stays_within_0_and_1(name, total, warmup):
    factor = schedule_factor(name, warmup=warmup, total_steps=total)
    factors = [factor(step) for step in range(total + 1)]
    assert all(0 <= value <= 1 for value in factors)
    if warmup:
        assert factors[0] == 0
    if warmup < total:
        assert factors[warmup] == 1


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_linear_and_cosine_end_at_0(name):
    assert schedule_factor(name, warmup=5, total_steps=50)(50) == pytest.approx(0, abs=1e-12)


def test_a_warm_up_may_be_steps_or_a_ratio():
    assert warmup_steps(7, 100) == 7
    assert warmup_steps(0.1, 100) == 10


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="no schedule is called rex"):
        schedule_factor("rex", warmup=0, total_steps=1)
