"""Seconds per step."""

import pytest

from backend.training.pace import Pace


def test_the_first_step_is_the_pace_and_later_ones_change_it_slowly():
    pace = Pace(10.0)
    assert pace.step_done(12.0) == 2.0
    assert pace.step_done(13.0) == pytest.approx(1.9)
    for step in range(100):
        last = pace.step_done(14.0 + step)
    assert last == pytest.approx(1.0, abs=1e-3)
