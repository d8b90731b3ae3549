"""What pydantic cannot say of an option by itself: texts that must parse, and values that do not go together."""

from __future__ import annotations

from collections.abc import Mapping

from backend.config.file_names import is_file_name
from backend.config.network_args import parse_assignments
from backend.config.options import OptionGroup, describe
from backend.config.schema import LoggingOptions, MemoryOptions, OptimizerOptions, SavingOptions, ScheduleOptions
from backend.errors import OptionError, Problem


def find_conflicts(groups: Mapping[str, OptionGroup]) -> list[Problem]:
    """The problems of groups that are right by themselves; a group that is not is left out of `groups`."""
    problems: list[Problem] = []
    for group in groups.values():
        match group:
            case OptimizerOptions():
                problems += _optimizer_problems(group)
            case MemoryOptions():
                problems += _attention_problems(group)
            case SavingOptions():
                problems += _file_name_problems(group, "output_name")
            case LoggingOptions():
                problems += _file_name_problems(group, "log_tracker_name")
                problems += _file_name_problems(group, "log_prefix", followed_by="20261122140000")
            case ScheduleOptions():
                problems += _schedule_problems(group)
    return problems


def _optimizer_problems(optimizer: OptimizerOptions) -> list[Problem]:
    try:
        parse_assignments(optimizer.optimizer_args, option="optimizer_args")
    except OptionError as error:
        return list(error.problems)
    return []


def _attention_problems(memory: MemoryOptions) -> list[Problem]:
    if memory.sdpa:
        return []
    return [Problem("no attention backend is chosen", hint="switch SDPA attention (sdpa) on", option="sdpa")]


def _file_name_problems(group: OptionGroup, name: str, *, followed_by: str = "") -> list[Problem]:
    text = getattr(group, name)
    if text is None or is_file_name(text + followed_by):
        return []
    label = describe(type(group), name).label
    hint = "wanted a file name that every system takes, without folder and ending"
    return [Problem(f"{label} ({name}) is {text!r}", hint=hint, option=name)]


def _schedule_problems(schedule: ScheduleOptions) -> list[Problem]:
    if schedule.lr_scheduler != "constant" or not schedule.lr_warmup_steps:
        return []
    return [
        Problem(
            f"the schedule constant has no warm-up, but lr_warmup_steps is {schedule.lr_warmup_steps}",
            hint="choose constant_with_warmup, or set the warm-up to 0",
            option="lr_warmup_steps",
        )
    ]
