"""What runs are compared by: the curve of each, `GET /runs/NAME/metrics`, and the settings in which they differ."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.config.configuration import all_options
from backend.errors import UserError
from backend.runs.again import given_configuration
from backend.runs.folder import RunFolder, find_run
from gui.form import FieldValue, to_field
from gui.languages import language_of
from gui.run_actions import no_run
from gui.texts import Texts, texts_of

POINTS = 1200
"""At most so many points of a curve are sent, the lowest and the highest of each stretch."""

MOST_RUNS = 12


def run_curves(request: Request) -> JSONResponse:
    """Answers {"loss": {"steps", "values"}, "average": ..., "gradient_norm": ..., "learning_rates": {name: ...}}."""
    run = find_run(request.app.state.workspace, request.path_params["name"])
    if run is None:
        return no_run(request)
    try:
        written = run.metrics_file.stat()
    except OSError:  # no step yet
        return JSONResponse({})
    return JSONResponse(_curves(run.metrics_file, (written.st_size, written.st_mtime_ns)))


def differing_settings(request: Request) -> JSONResponse:
    """Answers {"settings": [{"option", "label", "values": as its field shows it, for each ?run=}, ...]}."""
    names = request.query_params.getlist("run")[:MOST_RUNS]
    runs = [find_run(request.app.state.workspace, name) for name in names]
    texts = texts_of(language_of(request))
    return JSONResponse({"settings": differences([run for run in runs if run is not None], texts)})


def differences(runs: Sequence[RunFolder], texts: Texts) -> list[dict[str, Any]]:
    """The options in which the runs, as they were given, differ; a run whose settings cannot be read has none."""
    given = [_given(run) for run in runs]
    return [
        {"option": name, "label": texts.option_label(declared), "values": [_shown(values, name) for values in given]}
        for name, declared in all_options().items()
        if len({_shown(values, name) for values in given}) > 1
    ]


@lru_cache(maxsize=16)
def _curves(path: Path, _written: tuple[int, int]) -> dict[str, Any]:
    rows = _read_rows(path)
    rates = dict.fromkeys(name for row in rows for name in row.get("learning_rates") or {})
    return {
        "loss": _thin(rows, [row.get("loss") for row in rows]),
        "average": _thin(rows, [row.get("average_loss") for row in rows]),
        "gradient_norm": _thin(rows, [row.get("gradient_norm") for row in rows]),
        "learning_rates": {
            name: _thin(rows, [(row.get("learning_rates") or {}).get(name) for row in rows]) for name in rates
        },
    }


def _read_rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # half a line, of a writer that was killed
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def _thin(rows: Sequence[dict[str, Any]], values: Sequence[Any]) -> dict[str, list[Any]]:
    """At most POINTS of the points that are numbers: the lowest and the highest of each of equal stretches."""
    points = [
        (row["step"], value)
        for row, value in zip(rows, values, strict=True)
        if isinstance(value, int | float) and math.isfinite(value)
    ]
    if len(points) > POINTS:
        stretches = POINTS // 2
        parts = [
            points[number * len(points) // stretches : (number + 1) * len(points) // stretches]
            for number in range(stretches)
        ]
        ends = [(min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])) for part in parts]
        points = sorted({point for pair in ends for point in pair})
    return {"steps": [step for step, _ in points], "values": [value for _, value in points]}


def _given(run: RunFolder) -> dict[str, Any] | None:
    try:
        return given_configuration(run).values()
    except UserError:
        return None


def _shown(values: dict[str, Any] | None, name: str) -> FieldValue:
    """A setting as the form shows it, "" where it has no value."""
    return "" if values is None else to_field(all_options()[name], values[name])
