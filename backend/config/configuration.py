"""One whole set of option values: built from flat names and values, all mistakes reported at once."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.config import schema
from backend.config.combinations import find_conflicts
from backend.config.network_args import parse_network_args
from backend.config.options import Option, OptionGroup, describe, in_words
from backend.config.reference_options import (
    CANNOT_BE_USED,
    COMMAND_FLAGS,
    ENVIRONMENT_VARIABLES,
    MUSUBI_TUNER_OPTIONS,
    OF_OTHER_MODELS,
    WITHOUT_EFFECT_ON_RESULTS,
)
from backend.errors import OptionError, Problem


class Configuration(BaseModel):
    """The values of all options, by group: `configuration.network.network_dim`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: schema.ModelOptions = schema.ModelOptions()
    dataset: schema.DatasetOptions = schema.DatasetOptions()
    caching: schema.CachingOptions = schema.CachingOptions()
    network: schema.NetworkOptions = schema.NetworkOptions()
    optimizer: schema.OptimizerOptions = schema.OptimizerOptions()
    schedule: schema.ScheduleOptions = schema.ScheduleOptions()
    timesteps: schema.TimestepOptions = schema.TimestepOptions()
    memory: schema.MemoryOptions = schema.MemoryOptions()
    sampling: schema.SamplingOptions = schema.SamplingOptions()
    saving: schema.SavingOptions = schema.SavingOptions()
    logging: schema.LoggingOptions = schema.LoggingOptions()
    metadata: schema.MetadataOptions = schema.MetadataOptions()
    huggingface: schema.HuggingFaceOptions = schema.HuggingFaceOptions()
    machines: schema.MachineOptions = schema.MachineOptions()

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, places: Mapping[str, str] | None = None) -> Configuration:
        """A configuration from flat option names and values; options that are not named keep their default.

        Values are converted where that is unambiguous ("1e-4" for a number). `network_args` strings are taken apart
        into their own options. places: where each value was written, for the messages.
        Raises OptionError with every mistake: unknown names with a suggestion, wrong types, values out of limits.
        """
        expanded = expand_network_args(values, places or {})
        groups, problems = _build_groups(expanded)
        problems += find_conflicts(groups)
        if problems:
            raise OptionError.of(problems)
        return cls(**groups)

    def values(self) -> dict[str, Any]:
        """Option names and values, flat, in the order of the form; options without a value are None."""
        return {name: getattr(getattr(self, group), name) for name, group in group_of_option().items()}

    def changed(self, **values: Any) -> Configuration:
        """The same configuration with some options replaced."""
        return Configuration.from_values({**self.values(), **values})


@functools.cache
def all_options() -> dict[str, Option]:
    """The declarations of all options by name, in the order of the form."""
    return {name: describe(group, name) for group in schema.GROUPS.values() for name in group.model_fields}


@functools.cache
def group_of_option() -> dict[str, str]:
    """The key of the group that each option belongs to. Names are unique over all groups."""
    found: dict[str, str] = {}
    for key, group in schema.GROUPS.items():
        for name in group.model_fields:
            if name in found:
                raise ValueError(f"option {name} is declared in the groups {found[name]} and {key}")
            found[name] = key
    return found


def check_values(values: Mapping[str, Any], *, places: Mapping[str, str] | None = None) -> dict[str, Any]:
    """These values converted and checked, each by itself: for a preset, which need not make sense alone.

    Raises OptionError with every mistake, as `Configuration.from_values`.
    """
    expanded = expand_network_args(values, places or {})
    groups, problems = _build_groups(expanded)
    if problems:
        raise OptionError.of(problems)
    known = [name for name in expanded.values if name in group_of_option()]  # others may stand there without effect
    return {name: getattr(groups[group_of_option()[name]], name) for name in known}


@dataclass(frozen=True)
class ExpandedValues:
    """Option values without `network_args`, where each was written, and what could not be taken apart."""

    values: dict[str, Any]
    places: dict[str, str]
    problems: tuple[Problem, ...]


def expand_network_args(values: Mapping[str, Any], places: Mapping[str, str]) -> ExpandedValues:
    """The values with the strings of `network_args` taken apart into options of their own.

    An option that is also given by itself wins over the one in `network_args`.
    """
    given = {name: value for name, value in values.items() if name != "network_args"}
    if values.get("network_args") is None:
        return ExpandedValues(given, dict(places), ())
    place = places.get("network_args", "")
    try:
        parsed = parse_network_args(values["network_args"], place=place)
    except OptionError as error:
        return ExpandedValues(given, dict(places), error.problems)
    return ExpandedValues({**parsed, **given}, {**(dict.fromkeys(parsed, place) if place else {}), **places}, ())


def suggestion(name: str, names: Mapping[str, Any]) -> str:
    """'did you mean network_dim?' for a mistyped name, "" when nothing is near."""
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def skipped_options(values: Mapping[str, Any], *, places: Mapping[str, str] | None = None) -> list[Problem]:
    """A warning for each option that is passed over because only trainers of other models know it."""
    problems = []
    for name in values:
        if name in OF_OTHER_MODELS:
            where = f"{places[name]}: " if places and name in places else ""
            message = f"{where}{name} is an option of musubi-tuner for other models; it is passed over"
            problems.append(Problem(message, option=name, severity="warning"))
    return problems


def unknown_option(name: str, *, place: str = "") -> Problem:
    """What to say about a name that no option has."""
    where = f"{place}: " if place else ""
    if name in ENVIRONMENT_VARIABLES:
        variable = ENVIRONMENT_VARIABLES[name]
        hint = f"set the environment variable {variable}, or write it into secrets.toml in the workspace"
        return Problem(f"{where}{name} is a secret, which has no place in files and commands", hint=hint, option=name)
    if name in COMMAND_FLAGS:
        command = COMMAND_FLAGS[name]
        hint = f"give it to the command: python -m backend {command} --{name}"
        return Problem(f"{where}{name} asks for something else than a run", hint=hint, option=name)
    if name in CANNOT_BE_USED:
        reason, hint = CANNOT_BE_USED[name]
        return Problem(f"{where}{name} cannot be used: {reason}", hint=hint, option=name)
    hint = suggestion(name, group_of_option()) or "docs/options.md lists all options"
    return Problem(f"{where}there is no option {name}", hint=hint, option=name)


def _build_groups(expanded: ExpandedValues) -> tuple[dict[str, OptionGroup], list[Problem]]:
    """The groups whose options are right, each by itself, and what is wrong with the others."""
    problems = list(expanded.problems)
    own: dict[str, dict[str, Any]] = {key: {} for key in schema.GROUPS}
    for name, value in expanded.values.items():
        if name in group_of_option():
            if not _is_left_open(all_options()[name], value):
                own[group_of_option()[name]][name] = _cleaned(all_options()[name], value)
        elif not _changes_nothing(name, value) and name not in OF_OTHER_MODELS:
            problems.append(unknown_option(name, place=expanded.places.get(name, "")))
    built = {}
    for key, group in schema.GROUPS.items():
        try:
            built[key] = group(**own[key])
        except ValidationError as error:
            problems += [_problem(details, expanded.places) for details in error.errors()]
    return built, problems


def _is_left_open(declared: Option, value: Any) -> bool:
    """Whether a choice is written as an empty text, as programs do that write out every option: its default holds."""
    return declared.kind == "choice" and not declared.optional and isinstance(value, str) and not value.strip()


def _cleaned(declared: Option, value: Any) -> Any:
    """A text without blanks around it; of a path also without quotes around it and with ~ written out.

    An empty text, as a form field or `name = ""` gives it, means "not set" where that is possible.
    """
    if declared.kind == "list" and declared.path and isinstance(value, list | tuple):
        return [_path_as_meant(text.strip()) if isinstance(text, str) else text for text in value]
    if not isinstance(value, str):
        return value
    text = value.strip()
    if declared.path:
        text = _path_as_meant(text)
    return None if not text and declared.optional else text


def _path_as_meant(text: str) -> str:
    """Windows' "Copy as path" puts quotes around; a form field knows no shell that would write ~ out."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1]
    return os.path.expanduser(text)  # noqa: PTH111 (pathlib's raises where there is no such home)


def _changes_nothing(name: str, value: Any) -> bool:
    """Whether an option of musubi-tuner that is not acted on would do nothing: switched off, empty, or about speed."""
    return name in MUSUBI_TUNER_OPTIONS and (value in (None, False, "", []) or name in WITHOUT_EFFECT_ON_RESULTS)


_OF_NUMBERS = ("float_parsing", "float_type", "finite_number")
"""pydantic's errors about something in a list that has to be a number."""


def _problem(details: Mapping[str, Any], places: Mapping[str, str]) -> Problem:
    """One pydantic error in the words of a form: label, what was found, what was wanted."""
    name = str(details["loc"][0])
    described = all_options()[name]
    if described.choices:
        wanted = f"one of {', '.join(described.choices)}"
    elif described.kind == "list" and details["type"] in _OF_NUMBERS:
        wanted = "a list of numbers"
    else:
        wanted = in_words(described.kind, described.limits)
    where = f"{places[name]}: " if name in places else ""
    if details["input"] in (None, ""):
        return Problem(f"{where}{described.label} ({name}) is empty", hint=f"wanted {wanted}", option=name)
    return Problem(f"{where}{described.label} ({name}) is {details['input']!r}", hint=f"wanted {wanted}", option=name)
