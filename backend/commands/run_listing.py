"""What the commands `queue` and `runs` share: finding a run by its name, and showing runs as a table or as JSON."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.config.command_line import Parser
from backend.errors import InputError, OptionError
from backend.runs.folder import RunFolder, find_run, list_runs
from backend.runs.history import RunRow, row_of
from backend.runs.workspace import DEFAULT_WORKSPACE


def make_parser(command: str, *, description: str) -> tuple[Parser, Parser]:
    """A parser of a command with sub-commands, and one with the flags that all of them have."""
    parser = Parser(prog=f"python -m backend {command}", description=description, allow_abbrev=False)
    common = Parser(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    for each, workspace, as_json in (
        (parser, DEFAULT_WORKSPACE, False),
        (common, argparse.SUPPRESS, argparse.SUPPRESS),
    ):
        each.add_argument("--workspace", type=Path, default=workspace, help="folder of the runs")
        each.add_argument("--json", action="store_true", default=as_json, help="print JSON in place of text")
    return parser, common


def parse(parser: Parser, arguments: list[str]) -> argparse.Namespace:
    """The arguments parsed. Raises OptionError naming an unknown flag that stands before the sub-command."""
    flags = [text.partition("=")[0] for text in arguments[:1] if text.startswith("-")]
    known = {name for action in parser._actions for name in action.option_strings}  # argparse tells them nowhere else
    if unknown := [text for text in flags if text not in known]:  # it would take what follows for the sub-command
        raise OptionError.of(parser.problems_of(unknown))
    return parser.parse_args(arguments)


def find_named(workspace: Path, name: str) -> RunFolder:
    """The run of that name, or the only one whose name holds it. Raises InputError if there is none, or several."""
    if (run := find_run(workspace, name)) is not None:
        return run
    found = [run for run in list_runs(workspace) if name in run.name]
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(f"there is no run {name!r} in {workspace}", hint="see runs list")
    raise InputError(f"{name!r} fits {len(found)} runs: {', '.join(run.name for run in found[:5])}", hint="name one")


def show_rows(rows: Sequence[RunRow], *, as_json: bool) -> None:
    """Print runs as lines, or as a JSON list."""
    if as_json:
        show_json([row.record() for row in rows])
        return
    cells = [("RUN", "KIND", "STATE", "STEP", "LOSS", "TIME"), *map(_cells, rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def show_runs(runs: Sequence[RunFolder], *, as_json: bool) -> None:
    """Print these runs as `show_rows` does."""
    show_rows([row for run in runs if (row := row_of(run)) is not None], as_json=as_json)


def show_json(value: Any, *, indent: int | None = 1) -> None:
    """Print a value as JSON, without indent on one line; what JSON does not know (a loss that is no number) is null."""
    print(json.dumps(_without_nan(value), ensure_ascii=False, indent=indent, allow_nan=False), flush=True)


def add_run_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="name of the run's folder, or a part that no other has")


def _cells(row: RunRow) -> tuple[str, ...]:
    state = f"{row.state.value} (held)" if row.held and row.state.value == "queued" else row.state.value
    steps = f"{row.step}/{row.total_steps}" if row.total_steps else ""
    loss = "" if row.loss is None else f"{row.loss:.4f}"
    taken = "" if row.seconds is None else _clock(row.seconds)
    return row.run, row.kind, f"{state}: {row.failure}" if row.failure else state, steps, loss, taken


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{time.strftime('%M:%S', time.gmtime(seconds))}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
