"""The network of a training: which Linears get one, how large it is, and whether the files it starts from fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from backend.config.schema import NetworkOptions
from backend.errors import ModelFileError, OptionError, Problem
from backend.plan.adapter_files import kind_problems, loading_problems, read_shapes, sizes_in_file
from backend.plan.adapters import AdapterSize, Shape, adapter_sizes
from backend.plan.modules import LinearModule
from backend.plan.selection import Decision, ModuleState, lora_name, pattern_problems, select_modules


@dataclass(frozen=True)
class NetworkPlan:
    """decisions: one for each Linear. sizes: of the network on those that are trained, by their names.

    rank, scale: None where they differ between modules, or only the start weights tell.
    """

    decisions: tuple[Decision, ...]
    sizes: Mapping[str, AdapterSize]
    rank: int | None
    scale: float | None
    problems: tuple[Problem, ...]

    @property
    def trainable_parameters(self) -> int:
        return sum(size.parameters for size in self.sizes.values())

    @property
    def numbers_in_file(self) -> int:
        """The trained ones, and an alpha for each module."""
        return self.trainable_parameters + len(self.sizes)


Severity = Literal["error", "warning"]


def plan_network(
    options: NetworkOptions, linears: Sequence[LinearModule], *, misfits: Severity | None = "error"
) -> NetworkPlan:
    """The network that the options make on these Linears; what is wrong stands in its problems, nothing is raised.

    misfits: how to tell that a file does not fit the Linears; a warning where their sizes are a guess, and None, not at
    all, where they are unknown.
    """
    start, problems = _read(options.network_weights, "network_weights")
    if start and options.dim_from_weights:
        sizes, found = sizes_in_file(start, linears)
        decisions = [_decision(linear, is_trained=linear.name in sizes) for linear in linears]
    else:
        decisions, found = _selection(options, linears)
        problems += found
        sizes = adapter_sizes(options, [d.module for d in decisions if d.state is ModuleState.TRAINED])
        in_file = {lora_name(name): size for name, size in sizes.items()}
        found = loading_problems(in_file, start) if start and sizes else []
    if start:
        found = kind_problems(start, options.network_module) or _told(found, misfits)
        problems += _placed(found, options.network_weights, "network_weights")
    for path in options.base_weights:
        merged, unreadable = _read(path, "base_weights")
        found = _told(sizes_in_file(merged, linears)[1], misfits) if merged else []
        problems += [*unreadable, *_placed(found, path, "base_weights")]
    return NetworkPlan(
        decisions=tuple(decisions),
        sizes=sizes,
        rank=_one({size.rank for size in sizes.values()}, options.network_dim),
        scale=_scale(options, sizes),
        problems=tuple(problems),
    )


def _selection(options: NetworkOptions, linears: Sequence[LinearModule]) -> tuple[list[Decision], list[Problem]]:
    """What the patterns decide; with an invalid one, nothing."""
    patterns = {"exclude_patterns": options.exclude_patterns, "include_patterns": options.include_patterns}
    problems = pattern_problems(linears, **patterns)
    try:
        return select_modules(linears, **patterns), problems
    except OptionError:
        return [], problems


def _decision(linear: LinearModule, *, is_trained: bool) -> Decision:
    """What the start weights decide, where modules are taken from them."""
    return Decision(linear, ModuleState.TRAINED if is_trained else ModuleState.NOT_TRAINED, None)


def _read(path: str | None, option: str) -> tuple[dict[str, Shape], list[Problem]]:
    """The shapes in a file, if one is named and can be used."""
    if not path:
        return {}, []
    try:
        return read_shapes(Path(path)), []
    except ModelFileError as error:
        return {}, [replace(problem, option=option) for problem in error.problems]


def _told(problems: list[Problem], misfits: Severity | None) -> list[Problem]:
    if misfits is None:
        return []
    return [replace(problem, severity="warning") if misfits == "warning" else problem for problem in problems]


def _placed(problems: list[Problem], path: str | None, option: str) -> list[Problem]:
    """The problems with the file that they are about."""
    return [
        replace(problem, message=f"{path}: {problem.message}", option=problem.option or option) for problem in problems
    ]


def _scale(options: NetworkOptions, sizes: Mapping[str, AdapterSize]) -> float | None:
    if options.dim_from_weights:
        return None
    alone = (options.network_alpha or options.network_dim) / options.network_dim
    return _one({size.scale for size in sizes.values()}, alone)


def _one(values: set, if_none: float) -> float | None:
    """The value if there is one only; that of the options where there is none."""
    return next(iter(values or {if_none})) if len(values) < 2 else None
