"""What earlier trainings of this workspace tell of a new one: how far the forecast of memory was off, and how fast.

Both are read from the status of the runs, and compared with what the plan says of each of them today.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
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


@dataclass(frozen=True)
class Experience:
    """runs: how many earlier trainings it is made of. device, total_bytes, on_gpu: where the last of them ran.

    memory_ratio: what they really needed, as a part of the forecast's total. seconds_per_operation: of a step.
    """

    runs: int = 0
    device: str = ""
    total_bytes: int | None = None
    on_gpu: bool = False
    memory_ratio: float | None = None
    seconds_per_operation: float | None = None


@dataclass(frozen=True)
class _Seen:
    """One earlier training. speed: the options that change how fast an operation is."""

    device: str
    total_bytes: int
    on_gpu: bool
    memory_ratio: float | None
    seconds_per_operation: float | None
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
        memory_ratio=_median([one.memory_ratio for one in alike]),
        seconds_per_operation=_median([one.seconds_per_operation for one in alike]),
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
    seconds = status.seconds_per_step
    return _Seen(
        device=str(status.memory["device"]),
        total_bytes=int(status.memory["total_bytes"]),
        on_gpu=on_gpu,
        memory_ratio=needed / plan.memory.total if plan.memory else None,
        seconds_per_operation=seconds / plan.operations if seconds and plan.operations else None,
        speed=_speed(configuration),
    )


def _speed(configuration: Configuration) -> tuple[object, ...]:
    values = configuration.values()
    return tuple(values[name] or None for name in SPEED_OPTIONS)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
