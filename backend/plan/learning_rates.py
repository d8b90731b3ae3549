"""The learning rate at each step of a training, as a factor on the base rate; the trainer and the plan ask here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.errors import OptionError, Problem

Factor = Callable[[int], float]
"""From the step, counted from 0, to the factor on the base rate."""

POLYNOMIAL_END_RATE = 1e-7
DEFAULT_TIMESCALE = 10_000
REX = {"rex_alpha": 0.1, "rex_beta": 0.9}
REX_MIN_RATIO = 0.01

ARGUMENTS = {"piecewise_constant": ("step_rules",), "rex": ("rex_alpha", "rex_beta")}
"""The lr_scheduler_args that a schedule takes; all others take none."""


@dataclass(frozen=True)
class ScheduleSettings:
    """How the learning rate changes; the names are those of the options. Steps: a number, or a ratio (float) of all."""

    lr_scheduler: str = "constant"
    lr_warmup_steps: int | float = 0
    lr_decay_steps: int | float = 0
    lr_scheduler_num_cycles: int = 1
    lr_scheduler_power: float = 1.0
    lr_scheduler_timescale: int | None = None
    lr_scheduler_min_lr_ratio: float | None = None
    lr_scheduler_args: Mapping[str, Any] = field(default_factory=dict)

    def warmup(self, total_steps: int) -> int:
        """Steps of warm-up."""
        return as_steps(self.lr_warmup_steps, total_steps)

    def decay(self, total_steps: int) -> int:
        """Steps of decay at the end, of the schedule warmup_stable_decay."""
        return as_steps(self.lr_decay_steps, total_steps)


def as_steps(value: int | float, total_steps: int) -> int:
    """A number of steps; a float is a ratio of all steps."""
    return int(value * total_steps) if isinstance(value, float) else value


def make_factor(settings: ScheduleSettings, *, total_steps: int, learning_rate: float) -> Factor:
    """The factor for a group with this base rate. Raises OptionError for settings that make no schedule."""
    if problems := schedule_problems(settings, total_steps=total_steps):
        raise OptionError.of(problems)
    return _SCHEDULES[settings.lr_scheduler](settings, total_steps, learning_rate)


def schedule_problems(settings: ScheduleSettings, *, total_steps: int | None = None) -> list[Problem]:
    """What is wrong with the settings; without the number of steps, what can be told without it."""
    name, warmup = settings.lr_scheduler, settings.lr_warmup_steps
    problems = list(_argument_problems(settings))
    if name == "constant" and warmup:
        problems.append(
            Problem(
                f"the schedule constant has no warm-up, but lr_warmup_steps is {warmup}",
                "choose constant_with_warmup, or set the warm-up to 0",
                "lr_warmup_steps",
            )
        )
    if name == "cosine_with_min_lr" and settings.lr_scheduler_min_lr_ratio is None:
        problems.append(
            Problem(
                "the schedule cosine_with_min_lr needs lr_scheduler_min_lr_ratio",
                "for example 0.1, a tenth of the learning rate",
                "lr_scheduler_min_lr_ratio",
            )
        )
    if total_steps is not None:
        problems += _length_problems(settings, total_steps)
    return problems


def list_rates(
    settings: ScheduleSettings, *, learning_rate: float, total_steps: int, points: int | None = None
) -> list[tuple[int, float]]:
    """The steps, counted from 1, and the rate that each is made with, without training.

    points: at most so many, evenly spread, first and last included; None lists every step.
    """
    factor = make_factor(settings, total_steps=total_steps, learning_rate=learning_rate)
    return [(step + 1, learning_rate * factor(step)) for step in _spread(total_steps, points)]


def _spread(count: int, points: int | None) -> list[int]:
    if points is None or points >= count:
        return list(range(count))
    return sorted({round(index * (count - 1) / max(1, points - 1)) for index in range(points)})


def _argument_problems(settings: ScheduleSettings) -> list[Problem]:
    known = ARGUMENTS.get(settings.lr_scheduler, ())
    unknown = [name for name in settings.lr_scheduler_args if name not in known]
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    problems = [
        Problem(f"the schedule {settings.lr_scheduler} has no argument {name}", takes, "lr_scheduler_args")
        for name in unknown
    ]
    if settings.lr_scheduler == "piecewise_constant":
        try:
            _piecewise_rules(settings.lr_scheduler_args.get("step_rules"))
        except ValueError as error:
            problems.append(Problem(str(error), 'for example step_rules="1:10,0.1:20,0.01"', "lr_scheduler_args"))
    return problems


def _length_problems(settings: ScheduleSettings, total_steps: int) -> list[Problem]:
    warmup, decay = settings.warmup(total_steps), settings.decay(total_steps)
    decay = decay if settings.lr_scheduler == "warmup_stable_decay" else 0
    if warmup + decay <= total_steps:
        return []
    parts = f"{warmup} steps of warm-up" + (f" and {decay} of decay" if decay else "")
    return [Problem(f"{parts}, but the training has only {total_steps} steps", "shorten them", "lr_warmup_steps")]


def _with_warmup(settings: ScheduleSettings, total_steps: int, after: Callable[[float], float]) -> Factor:
    """Linearly from 0 to 1, then `after` of the part that has passed of the rest, from 0 to 1."""
    warmup = settings.warmup(total_steps)

    def factor(step: int) -> float:
        if step < warmup:
            return step / max(1, warmup)
        return after((step - warmup) / max(1, total_steps - warmup))

    return factor


def _constant(settings: ScheduleSettings, total_steps: int, learning_rate: float) -> Factor:
    return _with_warmup(settings, total_steps, lambda part: 1.0)


def _linear(settings: ScheduleSettings, total_steps: int, learning_rate: float) -> Factor:
    return _with_warmup(settings, total_steps, lambda part: max(0.0, 1.0 - part))


def _cosine(settings: ScheduleSettings, total_steps: int, learning_rate: float) -> Factor:
    """Half a cosine, whatever lr_scheduler_num_cycles is."""
    return _with_warmup(settings, total_steps, lambda part: max(0.0, _cosine_of(0.5 * part)))


def _cosine_with_restarts(settings: ScheduleSettings, total_steps: int, learning_rate: float) -> Factor:
    cycles = settings.lr_scheduler_num_cycles

    def after(part: float) -> float:
        return 0.0 if part >= 1 else max(0.0, _cosine_of(0.5 * (cycles * part % 1.0)))

    return _with_warmup(settings, total_steps, after)


def _cosine_with_min_lr(settings: ScheduleSettings, total_steps: int, learning_rate: float) -> Factor:
    lowest = settings.lr_scheduler_min_lr_ratio or 0.0
    cycles = settings.lr_scheduler_num_cycles / 2
    return _with_warmup(settings, total_steps, lambda part: max(0.0, _cosine_of(cycles * part) * (1 - lowest) + lowest))


def _polynomial(settings: ScheduleSettings, total_steps: int, learning_rate: float) -> Factor:
    """To a rate of 1e-7, whatever the base rate."""
    end = POLYNOMIAL_END_RATE / learning_rate

    def after(part: float) -> float:
        return end if part > 1 else (1 - end) * (1 - part) ** settings.lr_scheduler_power + end

    return _with_warmup(settings, total_steps, after)


def _inverse_sqrt(settings: ScheduleSettings, total_steps: int, learning_rate: float) -> Factor:
    warmup = settings.warmup(total_steps)
    timescale = settings.lr_scheduler_timescale or warmup or DEFAULT_TIMESCALE
    shift = timescale - warmup
    return lambda step: step / max(1, warmup) if step < warmup else 1 / math.sqrt((step + shift) / timescale)


def _warmup_stable_decay(settings: ScheduleSettings, total_steps: int, learning_rate: float) -> Factor:
    """Up from the lowest ratio, level, and along a cosine down to the ratio again."""
    warmup, decay = settings.warmup(total_steps), settings.decay(total_steps)
    lowest = settings.lr_scheduler_min_lr_ratio or 0.0
    stable_end, cycles = total_steps - decay, settings.lr_scheduler_num_cycles / 2

    def factor(step: int) -> float:
        if step < warmup:
            return lowest + (1 - lowest) * step / max(1, warmup)
        if step < stable_end:
            return 1.0
        if step >= total_steps:
            return lowest
        part = (step - stable_end) / max(1, decay)
        return lowest + (1 - lowest) * max(0.0, _cosine_of(cycles * part))

    return factor


def _piecewise_constant(settings: ScheduleSettings, total_steps: int, learning_rate: float) -> Factor:
    """step_rules "1:10,0.1:20,0.01": factor 1 before step 10, 0.1 before step 20, then 0.01."""
    rules, last = _piecewise_rules(settings.lr_scheduler_args["step_rules"])
    return lambda step: next((factor for end, factor in rules if step < end), last)


def _rex(settings: ScheduleSettings, total_steps: int, learning_rate: float) -> Factor:
    """From the lowest rate up, then slowly and ever faster down. Source: Chen et al. 2021, "REX" (arXiv:2107.04197)."""
    warmup = settings.warmup(total_steps)
    lowest = REX_MIN_RATIO if settings.lr_scheduler_min_lr_ratio is None else settings.lr_scheduler_min_lr_ratio
    arguments = {**REX, **settings.lr_scheduler_args}
    rest = max(1, total_steps - warmup)

    def factor(step: int) -> float:
        if step < warmup:
            return lowest + (1 - lowest) * step / warmup
        left = max(0.0, (rest - (step - warmup)) / rest)
        return lowest + (1 - lowest) * left / (arguments["rex_alpha"] + arguments["rex_beta"] * left)

    return factor


def _cosine_of(turns: float) -> float:
    return 0.5 * (1.0 + math.cos(2.0 * math.pi * turns))


def _piecewise_rules(text: object) -> tuple[list[tuple[int, float]], float]:
    """The rules (end step, factor) in order, and the factor after the last. Raises ValueError for another text."""
    wanted = "step_rules of piecewise_constant"
    if not isinstance(text, str) or not text:
        raise ValueError(f"{wanted} are missing")
    *rules, last = text.split(",")
    try:
        pairs = [(int(end), float(factor)) for factor, end in (rule.split(":") for rule in rules)]
        return sorted(pairs), float(last)
    except ValueError as error:
        raise ValueError(f"{wanted} are {text!r}") from error


_SCHEDULES: dict[str, Callable[[ScheduleSettings, int, float], Factor]] = {
    "constant": _constant,
    "constant_with_warmup": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "cosine_with_restarts": _cosine_with_restarts,
    "cosine_with_min_lr": _cosine_with_min_lr,
    "polynomial": _polynomial,
    "inverse_sqrt": _inverse_sqrt,
    "warmup_stable_decay": _warmup_stable_decay,
    "piecewise_constant": _piecewise_constant,
    "rex": _rex,
}

SCHEDULES = tuple(_SCHEDULES)
"""The names of all schedules."""
