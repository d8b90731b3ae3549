"""Which modules a run trains: regular expressions over the names of the Linear modules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from backend.errors import OptionError, Problem
from backend.plan.matching import LIMIT_S, Match, match_patterns
from backend.plan.modules import LinearModule

DEFAULT_EXCLUDE = ".*(img_mod|txt_mod|modulation).*"
EXCLUDE_OPTION = "exclude_patterns"
INCLUDE_OPTION = "include_patterns"


class ModuleState(str, Enum):
    """What a run does with a module."""

    TRAINED = "trained"
    NOT_TRAINED = "not_trained"
    EXCLUDED_BY_DEFAULT = "excluded_by_default"


Finding = Literal["", "invalid", "too_slow", "no_match", "part_only", "rescues_nothing"]
"""What is wrong (the first two) or doubtful about a pattern."""


@dataclass(frozen=True)
class Decision:
    """What was decided for one module, and the pattern that decided it; None where no pattern matches.

    rescued_from: of a module that an include pattern brings back, the pattern that had excluded it.
    """

    module: LinearModule
    state: ModuleState
    pattern: str | None
    rescued_from: str | None = None


@dataclass(frozen=True)
class PatternReport:
    """What one pattern of a list does. count: modules that it matches, of "part_only" names that it fits a part of.

    suggestion: a pattern that was probably meant, "" if none is near. fault, position: of "invalid", as in `Match`.
    """

    option: str
    pattern: str
    finding: Finding
    count: int
    suggestion: str = ""
    fault: str = ""
    position: int | None = None

    @property
    def is_usable(self) -> bool:
        return self.finding not in ("invalid", "too_slow")


def select_modules(
    modules: Iterable[LinearModule], *, exclude_patterns: Sequence[str] = (), include_patterns: Sequence[str] = ()
) -> list[Decision]:
    """A decision for each module, in the given order.

    A pattern has to match the whole name, dots included. A module is left out when an exclude pattern or
    DEFAULT_EXCLUDE matches it, unless an include pattern does too: include patterns only bring back what is excluded.
    Raises OptionError for a pattern that is not a regular expression, or that takes too long to match.
    """
    modules = list(modules)
    found = _matches(modules, [*exclude_patterns, *include_patterns])
    lists = ((EXCLUDE_OPTION, exclude_patterns), (INCLUDE_OPTION, include_patterns))
    reports = [_report(option, found[pattern], modules, ()) for option, patterns in lists for pattern in patterns]
    if any(not report.is_usable for report in reports):
        raise OptionError.of([_problem(report, modules) for report in reports if not report.is_usable])
    exclude = [*(found[pattern] for pattern in exclude_patterns), found[DEFAULT_EXCLUDE]]
    return [_decide(module, exclude, [found[pattern] for pattern in include_patterns]) for module in modules]


def trained_modules(decisions: Iterable[Decision]) -> list[LinearModule]:
    """The modules to train. Raises OptionError if there are none."""
    trained = [decision.module for decision in decisions if decision.state is ModuleState.TRAINED]
    if not trained:
        raise OptionError.of([_NOTHING_SELECTED])
    return trained


def examine_patterns(
    modules: Sequence[LinearModule], *, exclude_patterns: Sequence[str] = (), include_patterns: Sequence[str] = ()
) -> list[PatternReport]:
    """What each pattern does, first the exclude patterns, then the include patterns; it raises nothing."""
    found = _matches(modules, [*exclude_patterns, *include_patterns])
    excluded = [found[pattern].whole for pattern in (*exclude_patterns, DEFAULT_EXCLUDE)]
    return [
        *(_report(EXCLUDE_OPTION, found[pattern], modules, excluded) for pattern in exclude_patterns),
        *(_report(INCLUDE_OPTION, found[pattern], modules, excluded) for pattern in include_patterns),
    ]


def pattern_problems(
    modules: Sequence[LinearModule], *, exclude_patterns: Sequence[str] = (), include_patterns: Sequence[str] = ()
) -> list[Problem]:
    """What is wrong (errors) or doubtful (warnings) about the patterns; it raises nothing.

    Errors: an invalid pattern, one that takes too long, a selection without modules. Warnings: a pattern that matches
    no module, an include pattern that matches only modules which are trained anyway.
    """
    patterns = {"exclude_patterns": exclude_patterns, "include_patterns": include_patterns}
    reports = examine_patterns(modules, **patterns)
    wrong = [report for report in reports if not report.is_usable]
    doubtful = [report for report in reports if report.finding and report.is_usable]
    problems = [_problem(report, modules) for report in wrong + doubtful]
    if not wrong and all(d.state is not ModuleState.TRAINED for d in select_modules(modules, **patterns)):
        problems.append(_NOTHING_SELECTED)
    return problems


def is_default_excluded(module: LinearModule) -> bool:
    """Whether the module is only trained if an include pattern matches it."""
    return _DEFAULT.fullmatch(module.name) is not None


def lora_name(module_name: str) -> str:
    """The name of a module in a LoRA file: `lora_unet_double_blocks_0_img_attn_qkv`."""
    return "lora_unet_" + module_name.replace(".", "_")


_DEFAULT = re.compile(DEFAULT_EXCLUDE)
_NOTHING_SELECTED = Problem(
    "the patterns leave no module to train",
    f"remove a pattern from {EXCLUDE_OPTION}, or bring modules back with {INCLUDE_OPTION}",
    EXCLUDE_OPTION,
)


def _matches(modules: Sequence[LinearModule], patterns: Sequence[str]) -> Mapping[str, Match]:
    """What is found with each pattern and with DEFAULT_EXCLUDE, which is known to be quick and needs no process."""
    names = [module.name for module in modules]
    default = frozenset(module.name for module in modules if is_default_excluded(module))
    found = {match.pattern: match for match in match_patterns(patterns, names)} if patterns else {}
    return {DEFAULT_EXCLUDE: Match(DEFAULT_EXCLUDE, default), **found}


def _decide(module: LinearModule, exclude: Sequence[Match], include: Sequence[Match]) -> Decision:
    excluded_by = _first_match(exclude, module.name)
    if excluded_by is None:
        return Decision(module, ModuleState.TRAINED, None)
    included_by = _first_match(include, module.name)
    if included_by is not None:
        return Decision(module, ModuleState.TRAINED, included_by, rescued_from=excluded_by)
    by_default = excluded_by == DEFAULT_EXCLUDE
    return Decision(module, ModuleState.EXCLUDED_BY_DEFAULT if by_default else ModuleState.NOT_TRAINED, excluded_by)


def _first_match(matches: Iterable[Match], name: str) -> str | None:
    return next((match.pattern for match in matches if name in match.whole), None)


def _report(
    option: str, match: Match, modules: Sequence[LinearModule], excluded: Iterable[frozenset[str]]
) -> PatternReport:
    """excluded: what each exclude pattern matches, for an include pattern to bring back."""
    pattern = match.pattern
    if match.fault:
        hint = _meant_as_wildcards(pattern, modules)
        return PatternReport(option, pattern, "invalid", 0, hint, match.fault, match.position)
    if match.is_too_slow:
        return PatternReport(option, pattern, "too_slow", 0)
    if match.whole:
        idle = option == INCLUDE_OPTION and not any(match.whole & names for names in excluded)
        return PatternReport(option, pattern, "rescues_nothing" if idle else "", len(match.whole))
    if match.part:
        return PatternReport(option, pattern, "part_only", len(match.part), match.meant)
    return PatternReport(option, pattern, "no_match", 0)


def _problem(report: PatternReport, modules: Sequence[LinearModule]) -> Problem:
    """A finding in words."""
    about = f'{report.option}: "{report.pattern}"'
    meant = f"did you mean {report.suggestion}?" if report.suggestion else ""
    match report.finding:
        case "invalid":
            message = f"{about} is not a regular expression: {report.fault}"
            return Problem(message, meant or "remove or mend the pattern", report.option)
        case "too_slow":
            message = f"{about} takes longer than {LIMIT_S:g} seconds to match"
            return Problem(message, "repeat no group that repeats by itself, as (a+)+ does", report.option)
        case "part_only":
            message = (
                f"{about} matches no module: it fits a part of {report.count} names, but has to match the whole name"
            )
            return Problem(message, meant or "put .* before and after it", report.option, "warning")
        case "rescues_nothing":
            message = f"{about} matches only modules that are trained anyway ({report.count})"
            hint = f'to train only these, put ".*" into {EXCLUDE_OPTION}'
            return Problem(message, hint, report.option, "warning")
        case _:
            example = modules[0].name if modules else "double_blocks.0.img_attn_qkv"
            hint = f"names are written with dots: {example}"
            return Problem(f"{about} matches no module", hint, report.option, "warning")


def _meant_as_wildcards(pattern: str, modules: Sequence[LinearModule]) -> str:
    """`.*single.*` for `*single*`, written as one writes file names; "" where that is not it."""
    as_regex = re.sub(r"(?<!\.)\*", ".*", pattern)
    [match] = match_patterns([as_regex], [module.name for module in modules])
    return as_regex if as_regex != pattern and match.is_usable else ""
