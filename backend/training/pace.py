"""How fast a training goes: seconds per step, smoothed, with all that happens between the steps."""

from __future__ import annotations

NEW_STEPS_SHARE = 0.1
"""What the last step counts for in the average; about the last ten steps make it up."""


class Pace:
    """Counts the time from step to step. now: seconds of a clock that never jumps."""

    def __init__(self, now: float) -> None:
        self._last = now
        self._seconds_per_step: float | None = None

    def step_done(self, now: float) -> float:
        """The seconds per step, this one included."""
        seconds, self._last = now - self._last, now
        if self._seconds_per_step is None:
            self._seconds_per_step = seconds
        self._seconds_per_step += NEW_STEPS_SHARE * (seconds - self._seconds_per_step)
        return self._seconds_per_step
