"""What earlier trainings of this workspace tell of a new one: what the forecast of memory missed, and how fast.

Both are read from the status of the runs, and compared with what the plan says of each of them today.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from backend.config.configuration import Configuration
from backend.config.toml_file import read_configuration
from backend.errors import UserError
from backend.plan.memory import RESERVE
from backend.plan.plan import make_plan
from backend.runs.folder import RunFolder, list_runs

MOST_RUNS = 10
FIRST_STEPS = 3
"""A run that has made fewer steps tells nothing: the first ones compile, fill caches, and are slow."""

SPEED_OPTIONS = (
    "mixed_precision",
    "gradient_checkpointing",
    "gradient_checkpointing_cpu_offload",
    "fp8_base",
    "fp8_scaled",
    "blocks_to_swap",
    "compile",
    "flash_attn",
    "xformers",
    "num_processes",
)


SIMILAR_MEMORY = 2
"""For memory a training counts before others whose forecast is at most that many times as large, or as small."""

SIMILAR_OPERATIONS = 100
"""Between more different ones seconds per operation mean nothing: a small model's are spent on anything but these."""


@dataclass(frozen=True)
class Measured:
    """What one training needed, beside what is forecast of it today; None where one of the two is not known."""

    forecast_bytes: int | None
    needed_bytes: int
    operations: int
    seconds_per_step: float | None


@dataclass(frozen=True)
class Experience:
    """runs: how many earlier trainings there are. device, total_bytes, on_gpu: where the last of them ran.

    measured: those of them that tell something of the new one.
    """

    runs: int = 0
    device: str = ""
    total_bytes: int | None = None
    on_gpu: bool = False
    measured: tuple[Measured, ...] = ()

    def bytes_beyond(self, forecast: int) -> int | None:
        """How much more than its forecast a training will need, or less (negative): the median of what others did.

        What a larger training needed beyond counts in proportion. None where nothing was measured.
        """
        known = [(one.forecast_bytes, one.needed_bytes) for one in self.measured if one.forecast_bytes]
        similar = [pair for pair in known if _within(pair[0], forecast, SIMILAR_MEMORY)]
        beyond = [(needed - total) * min(1, forecast / total) for total, needed in similar or known]
        return round(median(beyond)) if beyond else None

    def seconds_for(self, operations: int) -> float | None:
        """How long a step of so many operations will take, if trainings of a comparable size were measured."""
        each = [
            one.seconds_per_step / one.operations
            for one in self.measured
            if one.seconds_per_step and _within(one.operations, operations, SIMILAR_OPERATIONS)
        ]
        return median(each) * operations if each else None


def _within(one: int, other: int, times: float) -> bool:
    return one > 0 and other > 0 and max(one, other) <= times * min(one, other)


@dataclass(frozen=True)
class _Seen:
    """One earlier training. speed: the options that change how fast an operation is."""

    device: str
    total_bytes: int
    on_gpu: bool
    measured: Measured
    speed: tuple[object, ...]


def experience_of(configuration: Configuration, *, workspace: Path) -> Experience:
    """What the last trainings tell of one with this configuration; those that ran as it will count before others."""
    trainings = [run for run in list_runs(workspace) if _is_training(run)][:MOST_RUNS]  # newest first
    seen = [found for run in trainings if (found := _look(run.path, _written(run)))]
    if not seen:
        return Experience()
    here = [one for one in seen if one.device == seen[0].device]
    speed = _speed(configuration)
    alike = [one for one in here if one.speed == speed] or here
    return Experience(
        runs=len(here),
        device=here[0].device,
        total_bytes=here[0].total_bytes,
        on_gpu=here[0].on_gpu,
        measured=tuple(one.measured for one in alike),
    )


def _is_training(run: RunFolder) -> bool:
    job = run.job()
    return job is not None and job.kind == "train"


def _written(run: RunFolder) -> int:
    try:
        return run.status_file.stat().st_mtime_ns
    except OSError:
        return 0


@functools.lru_cache(maxsize=64)
def _look(folder: Path, _written: int) -> _Seen | None:
    """What one run tells, None for too little. Its plan is made once for each version of its status."""
    run = RunFolder(folder)
    status = run.status()
    if status is None or status.step < FIRST_STEPS or not status.memory:
        return None
    try:
        configuration = read_configuration(run.config_file)
    except UserError:
        return None
    on_gpu = status.memory["kind"] != "cpu"
    plan = make_plan(configuration, on_gpu=on_gpu)
    if plan.dataset is None or not plan.dataset.buckets:  # the dataset is gone: nothing to compare with
        return None
    # Of a CPU the peak is that of the whole process; beside what torch allocates CUDA has memory of its own.
    needed = status.memory["peak_bytes"] + (RESERVE if on_gpu else 0)
    forecast = plan.memory.total if plan.memory else None
    return _Seen(
        device=str(status.memory["device"]),
        total_bytes=int(status.memory["total_bytes"]),
        on_gpu=on_gpu,
        measured=Measured(forecast, needed, plan.operations, status.seconds_per_step),
        speed=_speed(configuration),
    )


def _speed(configuration: Configuration) -> tuple[object, ...]:
    values = configuration.values()
    return tuple(values[name] or None for name in SPEED_OPTIONS)
