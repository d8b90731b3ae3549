"""The module map: blocks against their Linear modules, what the form's options do with each, and clicks on it.

`POST /module_map` takes {"values": {option: field}} and answers with the map; `POST /module_map/click` takes also
{"modules": [name, ...]} and answers with the pattern lists that add or remove them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from itertools import groupby
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.config.configuration import all_options, check_values
from backend.config.schema import ModelOptions, NetworkOptions
from backend.errors import OptionError, Problem
from backend.plan.adapters import adapter_sizes
from backend.plan.modules import LinearModule, block_linears
from backend.plan.network import NetworkPlan, plan_network
from backend.plan.pattern_writing import COMMON_SELECTIONS, PatternLists, toggle_modules
from backend.plan.plan import transformer_shape
from backend.plan.selection import (
    EXCLUDE_OPTION,
    INCLUDE_OPTION,
    Decision,
    ModuleState,
    PatternReport,
    examine_patterns,
    is_default_excluded,
    select_modules,
)
from gui.form import FieldValue, format_number, from_field

RATE_OPTION = "learning_rate"
ASKED = (*NetworkOptions.model_fields, "dit", "dit_in_channels", RATE_OPTION)
"""The options that the map depends on; the page's script sends no others."""

MOST_PATTERNS = 1000


async def module_map(request: Request) -> JSONResponse:
    """The map of what stands in the form; 400 for a request that is none."""
    try:
        values, _ = _read_request(await request.json())
    except ValueError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    return JSONResponse(await run_in_threadpool(map_record, values))


async def click_modules(request: Request) -> JSONResponse:
    """The two lists in which the clicked modules are added or, where all are trained, removed."""
    try:
        values, clicked = _read_request(await request.json())
    except ValueError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    return JSONResponse(await run_in_threadpool(clicked_lists, values, clicked))


def map_record(values: Mapping[str, FieldValue]) -> dict[str, Any]:
    """The map as the page draws it. values: fields by option, as they stand in the form.

    A field that cannot be read counts with its default, and a pattern that cannot be used as if it were not there;
    "is_whole" tells whether that was so for a pattern.
    """
    options, linears, is_full_size = _read_values(values)
    lists = _lists(options)
    reports = examine_patterns(linears, exclude_patterns=lists.exclude, include_patterns=lists.include)
    usable = options.model_copy(update={name: _usable(reports, name) for name in (EXCLUDE_OPTION, INCLUDE_OPTION)})
    plan = plan_network(usable, linears, misfits=None)
    return {
        "groups": _groups(plan, adapter_sizes(options, linears)),
        "counts": dict(Counter(_shown_state(decision) for decision in plan.decisions)),
        "reports": [asdict(report) for report in reports],
        "selections": _selections(plan.decisions, linears),
        "is_whole": all(report.is_usable for report in reports),
        "is_full_size": is_full_size,
        "is_from_weights": bool(options.dim_from_weights and options.network_weights),
        "rank": plan.rank,
        "scale": None if plan.scale is None else _short(plan.scale),
        "rates": _rates(options, _right_values(values).get(RATE_OPTION)),
    }


def clicked_lists(values: Mapping[str, FieldValue], clicked: Sequence[str]) -> dict[str, str]:
    """The fields of the pattern lists after a click on these modules; names that there are not are passed over."""
    options, linears, _ = _read_values(values)
    names = {linear.name for linear in linears} & set(clicked)
    lists = toggle_modules(linears, names, _lists(options)) if names else _lists(options)
    return _fields(lists)


def _read_request(body: Any) -> tuple[dict[str, FieldValue], list[str]]:
    """The fields and the clicked modules. Raises ValueError for anything else."""
    values, clicked = (body.get("values"), body.get("modules", [])) if isinstance(body, dict) else (None, [])
    if not isinstance(values, dict) or not isinstance(clicked, list):
        raise ValueError('wanted {"values": {option: text}, "modules": [name]}')
    if not all(name in ASKED and isinstance(value, str | bool) for name, value in values.items()):
        raise ValueError(f"wanted a text or a bool for options of {', '.join(ASKED)}")
    if any(str(values.get(name, "")).count("\n") >= MOST_PATTERNS for name in (EXCLUDE_OPTION, INCLUDE_OPTION)):
        raise ValueError(f"wanted at most {MOST_PATTERNS} patterns")
    return values, [str(name) for name in clicked]


def _read_values(values: Mapping[str, FieldValue]) -> tuple[NetworkOptions, list[LinearModule], bool]:
    """The network's options, the Linears of the transformer, and whether its size had to be assumed."""
    right = _right_values(values)
    model = ModelOptions(**{name: right[name] for name in ("dit", "dit_in_channels") if name in right})
    problems: list[Problem] = []
    linears = block_linears(transformer_shape(model, problems))
    options = NetworkOptions(**{name: right[name] for name in NetworkOptions.model_fields if name in right})
    return options, linears, bool(problems)


def _right_values(values: Mapping[str, FieldValue]) -> dict[str, Any]:
    """The values of the fields that can be read."""
    given = {name: from_field(all_options()[name], value) for name, value in values.items()}
    try:
        return check_values(given)
    except OptionError as error:
        wrong = {problem.option for problem in error.problems}
        return check_values({name: value for name, value in given.items() if name not in wrong})


def _lists(options: NetworkOptions) -> PatternLists:
    return PatternLists(tuple(options.exclude_patterns), tuple(options.include_patterns))


def _usable(reports: Sequence[PatternReport], option: str) -> list[str]:
    return [report.pattern for report in reports if report.option == option and report.is_usable]


def _groups(plan: NetworkPlan, sizes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Double and single blocks: their number, and for each Linear of a block its cells, one a block."""
    groups = []
    for kind, members in groupby(plan.decisions, lambda decision: decision.module.name.split(".")[0]):
        rows: dict[str, list[Decision]] = {}
        for decision in members:
            rows.setdefault(decision.module.name.split(".", 2)[2], []).append(decision)
        groups.append(
            {
                "kind": kind,
                "blocks": max(len(row) for row in rows.values()),
                "rows": [_row(part, row, plan.sizes, sizes) for part, row in _modulation_last(rows).items()],
            }
        )
    return groups


def _modulation_last(rows: Mapping[str, list[Decision]]) -> dict[str, list[Decision]]:
    return dict(sorted(rows.items(), key=lambda row: is_default_excluded(row[1][0].module)))


def _row(part: str, row: Sequence[Decision], trained: Mapping[str, Any], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """One Linear through all blocks. parameters: of the network on one of them, also where it is not trained."""
    return {
        "part": part,
        "shape": [row[0].module.in_features, row[0].module.out_features],
        "cells": [
            {
                "state": _shown_state(decision),
                "pattern": decision.pattern,
                "rescued_from": decision.rescued_from,
                "parameters": (trained.get(decision.module.name) or sizes[decision.module.name]).parameters,
            }
            for decision in row
        ],
    }


def _shown_state(decision: Decision) -> str:
    """What is excluded by default is shown so also where a pattern of the user's excludes it before."""
    if decision.state is not ModuleState.TRAINED and is_default_excluded(decision.module):
        return ModuleState.EXCLUDED_BY_DEFAULT.value
    return decision.state.value


def _selections(decisions: Sequence[Decision], linears: Sequence[LinearModule]) -> list[dict[str, Any]]:
    """The common selections that train anything of this transformer, and whether one of them is what is chosen."""
    chosen = {decision.module.name for decision in decisions if decision.state is ModuleState.TRAINED}
    trained = _trained_by_selections(tuple(linears))
    return [
        {"key": key, "is_chosen": trained[key] == chosen, **_fields(lists)}
        for key, lists in COMMON_SELECTIONS.items()
        if trained[key]
    ]


@lru_cache(maxsize=4)
def _trained_by_selections(linears: tuple[LinearModule, ...]) -> dict[str, set[str]]:
    found = {}
    for key, lists in COMMON_SELECTIONS.items():
        decisions = select_modules(linears, exclude_patterns=lists.exclude, include_patterns=lists.include)
        found[key] = {decision.module.name for decision in decisions if decision.state is ModuleState.TRAINED}
    return found


def _fields(lists: PatternLists) -> dict[str, str]:
    """The lists as their fields hold them."""
    return {EXCLUDE_OPTION: "\n".join(lists.exclude), INCLUDE_OPTION: "\n".join(lists.include)}


def _rates(options: NetworkOptions, rate: float | None) -> dict[str, str] | None:
    """The two learning rates of LoRA+ as a person writes them; None without it."""
    if rate is None or options.loraplus_lr_ratio is None:
        return None
    return {"down": _short(rate), "up": _short(rate * options.loraplus_lr_ratio)}


def _short(number: float) -> str:
    return format_number(float(f"{number:.6g}"))
