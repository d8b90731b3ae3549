"""The queue of a workspace: `python -m backend queue` runs what is queued; `queue list`, `add`, `cancel`, `hold`,
`release`, `move` and `watch` look at it and change it, each with --json."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from backend.commands import run_listing
from backend.commands.run_listing import add_run_name, find_named, show_json, show_runs
from backend.config.command_line import Parser, read_arguments
from backend.config.command_line import make_parser as make_option_parser
from backend.config.doubts import find_doubts
from backend.config.schema import GROUPS
from backend.runs import actions, order
from backend.runs.folder import RunFolder, RunState, list_runs
from backend.runs.history import row_of
from backend.runs.output import outlive_full_disk
from backend.runs.queue import ensure_worker, work
from backend.runs.submission import submit_with_caching
from backend.runs.workspace import DEFAULT_WORKSPACE

WATCH_INTERVAL_S = 0.5


def main(arguments: list[str]) -> int:
    """Do what the sub-command says; without one run jobs until none is queued, or leave if another worker is at it."""
    if arguments[:1] == ["add"]:
        return add(arguments[1:])
    options = run_listing.parse(_parser(), arguments)
    if options.action is None:
        outlive_full_disk()
        work(options.workspace)
        return 0
    return options.action(options)


def add(arguments: list[str]) -> int:
    """Queue a training with these options, after the caching of its dataset where that is missing."""
    parser = make_option_parser("queue add", description=add.__doc__ or "", groups=set(GROUPS) - {"caching"})
    parser.add_argument("--workspace", type=Path, default=DEFAULT_WORKSPACE, help="folder of the runs")
    parser.add_argument("--held", action="store_true", default=False, help="wait until it is released")
    parser.add_argument("--json", action="store_true", default=False, help="print JSON in place of text")
    configuration, own = read_arguments(parser, arguments)
    for doubt in find_doubts(configuration):
        print(f"warning: {doubt}", file=sys.stderr)
    runs = submit_with_caching(configuration, workspace=own.workspace, held=own.held)
    if not own.held:
        ensure_worker(own.workspace)
    show_runs(runs, as_json=own.json)
    return 0


def list_queue(options: argparse.Namespace) -> int:
    """Show the runs that go on and those that wait, in the order in which they are taken."""
    going_on = [run for run in reversed(list_runs(options.workspace)) if run.state() in actions.HAS_BEGUN]
    show_runs([*going_on, *order.waiting_runs(options.workspace)], as_json=options.json)
    return 0


def cancel(options: argparse.Namespace) -> int:
    """Take a waiting run out of the queue."""
    return _change(options, actions.cancel)


def hold(options: argparse.Namespace) -> int:
    """Pass a waiting run over until it is released."""
    return _change(options, order.hold)


def release(options: argparse.Namespace) -> int:
    """Let a held run take its turn again."""
    return _change(options, order.release)


def move(options: argparse.Namespace) -> int:
    """Put a waiting run at a place among those that wait; 0 is next."""
    return _change(options, lambda run: order.move(run, options.place))


def watch(options: argparse.Namespace) -> int:
    """Tell each change of a run, one a line, until nothing waits or goes on. Returns 0 if all finished, else 1."""
    told: dict[str, tuple[RunState, str]] = {}
    watched = [run for run in reversed(list_runs(options.workspace)) if not run.state().is_over]
    while True:
        for run in watched:
            _tell_change(run, told, as_json=options.json)
        if all(run.state().is_over or run.place().held for run in watched):
            break
        time.sleep(WATCH_INTERVAL_S)
        new = [run for run in reversed(list_runs(options.workspace)) if run not in watched and not run.state().is_over]
        watched += new
    return 0 if all(run.state() in (RunState.FINISHED, RunState.QUEUED) for run in watched) else 1


def _tell_change(run: RunFolder, told: dict[str, tuple[RunState, str]], *, as_json: bool) -> None:
    row = row_of(run)
    if row is None or told.get(run.name) == (row.state, row.phase):
        return
    told[run.name] = (row.state, row.phase)
    if as_json:
        show_json(row.record(), indent=None)
    else:
        print(
            f"{time.strftime('%H:%M:%S')}  {run.name}  {row.state.value} {row.phase} {row.message}".rstrip(), flush=True
        )


def _change(options: argparse.Namespace, change: Callable[[RunFolder], None]) -> int:
    """Change a run, see to it that a worker knows, and show the queue as it is then."""
    change(find_named(options.workspace, options.run))
    ensure_worker(options.workspace)
    return list_queue(options)


def _parser() -> Parser:
    parser, common = run_listing.make_parser("queue", description=__doc__ or "")
    parser.set_defaults(action=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, action in {"list": list_queue, "watch": watch}.items():
        commands.add_parser(name, parents=[common], help=action.__doc__).set_defaults(action=action)
    commands.add_parser("add", help=add.__doc__, add_help=False)
    for action in (cancel, hold, release, move):
        own = commands.add_parser(action.__name__, parents=[common], help=action.__doc__)
        add_run_name(own)
        own.set_defaults(action=action)
        if action is move:
            own.add_argument("place", type=int, help="0 is next")
    return parser
