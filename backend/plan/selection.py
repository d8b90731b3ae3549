"""Which modules a run trains: regular expressions over the names of the Linear modules."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from backend.errors import OptionError, Problem
from backend.plan.modules import LinearModule

DEFAULT_EXCLUDE = ".*(img_mod|txt_mod|modulation).*"
EXCLUDE_OPTION = "exclude_patterns"
INCLUDE_OPTION = "include_patterns"


class ModuleState(str, Enum):
    """What a run does with a module."""

    TRAINED = "trained"
    NOT_TRAINED = "not_trained"
    EXCLUDED_BY_DEFAULT = "excluded_by_default"


@dataclass(frozen=True)
class Decision:
    """What was decided for one module, and the pattern that decided it; None where no pattern matches."""

    module: LinearModule
    state: ModuleState
    pattern: str | None


def select_modules(
    modules: Iterable[LinearModule], *, exclude_patterns: Sequence[str] = (), include_patterns: Sequence[str] = ()
) -> list[Decision]:
    """A decision for each module, in the given order.

    A pattern has to match the whole name, dots included. A module is left out when an exclude pattern or
    DEFAULT_EXCLUDE matches it, unless an include pattern does too: include patterns only bring back what is excluded.
    Raises OptionError for a pattern that is not a regular expression.
    """
    exclude = compile_patterns([*exclude_patterns, DEFAULT_EXCLUDE], EXCLUDE_OPTION)
    include = compile_patterns(include_patterns, INCLUDE_OPTION)
    return [_decide(module, exclude, include) for module in modules]


def trained_modules(decisions: Iterable[Decision]) -> list[LinearModule]:
    """The modules to train. Raises OptionError if there are none."""
    trained = [decision.module for decision in decisions if decision.state is ModuleState.TRAINED]
    if not trained:
        raise OptionError.of([_NOTHING_SELECTED])
    return trained


def compile_patterns(patterns: Sequence[str], option: str) -> list[re.Pattern[str]]:
    """The patterns of one option, compiled. Raises OptionError naming each invalid one and the place of its fault."""
    invalid = _invalid_patterns(patterns, option)
    if invalid:
        raise OptionError.of(invalid)
    return [re.compile(pattern) for pattern in patterns]


def pattern_problems(
    modules: Sequence[LinearModule], *, exclude_patterns: Sequence[str] = (), include_patterns: Sequence[str] = ()
) -> list[Problem]:
    """What is wrong (errors) or doubtful (warnings) about the patterns; it raises nothing.

    Errors: an invalid pattern, a selection without modules. Warnings: a pattern that matches no module, an include
    pattern that matches only modules which are trained anyway.
    """
    invalid = _invalid_patterns(exclude_patterns, EXCLUDE_OPTION) + _invalid_patterns(include_patterns, INCLUDE_OPTION)
    exclude = _valid_patterns(exclude_patterns)
    include = _valid_patterns(include_patterns)
    names = [module.name for module in modules]
    warnings = [_no_match(pattern, EXCLUDE_OPTION, names) for pattern in exclude if not _matched(pattern, names)]
    warnings += [_include_problem(pattern, [*exclude, re.compile(DEFAULT_EXCLUDE)], names) for pattern in include]
    problems = invalid + [warning for warning in warnings if warning is not None]
    if not invalid and not _trains_any(modules, exclude_patterns, include_patterns):
        problems.append(_NOTHING_SELECTED)
    return problems


def lora_name(module_name: str) -> str:
    """The name of a module in a LoRA file: `lora_unet_double_blocks_0_img_attn_qkv`."""
    return "lora_unet_" + module_name.replace(".", "_")


_NOTHING_SELECTED = Problem(
    "the patterns leave no module to train",
    f"remove a pattern from {EXCLUDE_OPTION}, or bring modules back with {INCLUDE_OPTION}",
    EXCLUDE_OPTION,
)


def _decide(module: LinearModule, exclude: Sequence[re.Pattern[str]], include: Sequence[re.Pattern[str]]) -> Decision:
    excluded_by = _first_match(exclude, module.name)
    if excluded_by is None:
        return Decision(module, ModuleState.TRAINED, None)
    included_by = _first_match(include, module.name)
    if included_by is not None:
        return Decision(module, ModuleState.TRAINED, included_by)
    by_default = excluded_by == DEFAULT_EXCLUDE
    return Decision(module, ModuleState.EXCLUDED_BY_DEFAULT if by_default else ModuleState.NOT_TRAINED, excluded_by)


def _first_match(patterns: Iterable[re.Pattern[str]], name: str) -> str | None:
    return next((pattern.pattern for pattern in patterns if pattern.fullmatch(name)), None)


def _trains_any(modules: Sequence[LinearModule], exclude: Sequence[str], include: Sequence[str]) -> bool:
    decisions = select_modules(modules, exclude_patterns=exclude, include_patterns=include)
    return any(decision.state is ModuleState.TRAINED for decision in decisions)


def _invalid_patterns(patterns: Iterable[str], option: str) -> list[Problem]:
    problems = (_fault(pattern, option) for pattern in patterns)
    return [problem for problem in problems if problem is not None]


def _valid_patterns(patterns: Iterable[str]) -> list[re.Pattern[str]]:
    return [re.compile(pattern) for pattern in patterns if _fault(pattern, "") is None]


def _fault(pattern: str, option: str) -> Problem | None:
    try:
        re.compile(pattern)
    # OverflowError: "a{99999999999}", RecursionError: thousands of nested brackets
    except (re.error, OverflowError, RecursionError) as error:
        message = f'{option}: "{pattern}" is not a regular expression: {error}'
        return Problem(message, _meant_as_wildcards(pattern), option)
    return None


def _meant_as_wildcards(pattern: str) -> str:
    """A hint for `*single*`, written as one writes file names."""
    as_regex = re.sub(r"(?<!\.)\*", ".*", pattern)
    if as_regex == pattern or _fault(as_regex, "") is not None:
        return "remove or mend the pattern"
    return f"did you mean {as_regex}?"


def _matched(pattern: re.Pattern[str], names: Iterable[str]) -> set[str]:
    return {name for name in names if pattern.fullmatch(name)}


def _include_problem(
    pattern: re.Pattern[str], exclude: Sequence[re.Pattern[str]], names: Collection[str]
) -> Problem | None:
    matched = _matched(pattern, names)
    if not matched:
        return _no_match(pattern, INCLUDE_OPTION, names)
    if any(_first_match(exclude, name) is not None for name in matched):
        return None
    message = f'{INCLUDE_OPTION}: "{pattern.pattern}" matches only modules that are trained anyway ({len(matched)})'
    return Problem(message, f'to train only these, put ".*" into {EXCLUDE_OPTION}', INCLUDE_OPTION, "warning")


def _no_match(pattern: re.Pattern[str], option: str, names: Collection[str]) -> Problem:
    message = f'{option}: "{pattern.pattern}" matches no module'
    found_inside = {name for name in names if pattern.search(name)}
    if not found_inside:
        example = next(iter(names), "double_blocks.0.img_attn_qkv")
        return Problem(message, f"names are written with dots: {example}", option, "warning")
    message = f"{message}: it fits a part of {len(found_inside)} names, but has to match the whole name"
    return Problem(message, _whole_name_hint(pattern.pattern, found_inside, names), option, "warning")


def _whole_name_hint(pattern: str, found_inside: set[str], names: Collection[str]) -> str:
    """The pattern with `.*` around it, if that matches the names in which the pattern was found and no others."""
    for suggestion in (f".*{pattern}.*", f".*({pattern}).*"):  # the second for "a|b"
        if _fault(suggestion, "") is None and _matched(re.compile(suggestion), names) == found_inside:
            return f"did you mean {suggestion}?"
    return "put .* before and after it"
