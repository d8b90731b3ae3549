"""The runs of a workspace: `python -m backend runs list`, `show`, `stop`, `save`, `sample`, `resume`, `again`, `notes`,
`delete`, `restore` and `erase`, each with --json."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backend.commands import run_listing
from backend.commands.run_listing import add_run_name, find_named, show_json, show_rows, show_runs
from backend.config.command_line import Parser
from backend.errors import InputError
from backend.runs import actions, bin, notes
from backend.runs.again import resume_run, run_again
from backend.runs.failures import find_failure
from backend.runs.folder import RunFolder, RunState
from backend.runs.history import list_rows, row_of
from backend.runs.queue import ensure_worker
from backend.runs.states import list_states


def main(arguments: list[str]) -> int:
    """Do what the sub-command says. Returns 0; what does not work is raised."""
    options = run_listing.parse(_parser(), arguments)
    options.action(options)
    return 0


def list_all(options: argparse.Namespace) -> None:
    """Show all runs, the newest first."""
    if options.deleted:
        show_runs(bin.deleted_runs(options.workspace), as_json=options.json)
        return
    rows = list_rows(options.workspace)
    show_rows([row for row in rows if options.state in (None, row.state.value)], as_json=options.json)


def show(options: argparse.Namespace) -> None:
    """Show all that is known of a run: why it failed, the states to resume from, the disk it takes, notes."""
    record = _full_record(find_named(options.workspace, options.run))
    if options.json:
        show_json(record)
        return
    for name, value in record.items():
        if name not in ("failure", "states") and value not in (None, "", [], ()):
            print(f"{name}: {value}")
    for state in record["states"]:
        print(f"state: step {state['step']}, epoch {state['epoch']}, {state['path']}")
    if failure := record["failure"]:
        print(f"failure: {failure['id']}: {failure['sentence']} {failure['advice']}")
        print(*(f"  {line}" for line in failure["evidence"]), sep="\n")


def stop(options: argparse.Namespace) -> None:
    """Ask a run to save and leave, at once or after this epoch; one that waits is cancelled."""
    run = find_named(options.workspace, options.run)
    if options.after_epoch:
        actions.ask(run, "stop_after_epoch")
    else:
        actions.stop(run)
    _show_one(run, options)


def save(options: argparse.Namespace) -> None:
    """Have a training save its LoRA and its state after this step."""
    _ask(options, "save")


def sample(options: argparse.Namespace) -> None:
    """Have a training make its samples after this step."""
    _ask(options, "sample")


def resume(options: argparse.Namespace) -> None:
    """Queue a training that goes on from a state of a run, the last if none is named; caching comes first."""
    run = find_named(options.workspace, options.run)
    state, changes = _chosen_state(run, options), _changes(options)
    _show_new(resume_run(run, state=state, changes=changes, held=options.held), options)


def again(options: argparse.Namespace) -> None:
    """Queue the same training once more; what its dataset lacks is cached first."""
    run = find_named(options.workspace, options.run)
    _show_new(run_again(run, changes=_changes(options), held=options.held), options)


def note(options: argparse.Namespace) -> None:
    """Show the notes on a run, or replace them."""
    run = find_named(options.workspace, options.run)
    if options.text is not None:
        notes.write_notes(run, options.text)
    text = notes.read_notes(run)
    show_json({"run": run.name, "notes": text}) if options.json else print(text)


def delete(options: argparse.Namespace) -> None:
    """Put a run that is over into the workspace's bin."""
    run = find_named(options.workspace, options.run)
    bin.delete_run(run)
    _say(options, {"run": run.name, "deleted": True}, f"{run.name} is in the bin; runs restore takes it out")


def restore(options: argparse.Namespace) -> None:
    """Take a run out of the bin."""
    _show_one(bin.restore_run(options.workspace, options.run), options)


def erase(options: argparse.Namespace) -> None:
    """Remove a run in the bin for good."""
    bin.erase_run(options.workspace, options.run)
    _say(options, {"run": options.run, "erased": True}, f"{options.run} is gone")


def _full_record(run: RunFolder) -> dict[str, Any]:
    row, failure = row_of(run), find_failure(run)
    return {
        **(row.record() if row else {}),
        "path": str(run.path),
        "exit": run.exit_record(),
        "stop": run.stop_record(),
        "states": [{**asdict(state), "path": str(state.path)} for state in list_states(run)],
        "disk_bytes": bin.disk_bytes(run),
        "failure": failure.record() if failure else None,
    }


def _ask(options: argparse.Namespace, what: str) -> None:
    run = find_named(options.workspace, options.run)
    actions.ask(run, what)
    _show_one(run, options)


def _chosen_state(run: RunFolder, options: argparse.Namespace) -> Path | None:
    if options.step is None:
        return options.state
    states = list_states(run)
    found = next((state.path for state in states if state.step == options.step), None)
    if found is None:
        steps = ", ".join(str(state.step) for state in states) or "none"
        raise InputError(f"{run.name}: has no state of step {options.step}", hint=f"there are: {steps}")
    return found


def _changes(options: argparse.Namespace) -> dict[str, str | None]:
    """The options of --set NAME=VALUE; an empty value clears the option."""
    changes: dict[str, str | None] = {}
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text}: has no =", hint="wanted NAME=VALUE, such as learning_rate=1e-4")
        changes[name.strip()] = value or None
    return changes


def _show_new(runs: list[RunFolder], options: argparse.Namespace) -> None:
    if not options.held:
        ensure_worker(options.workspace)
    show_runs(runs, as_json=options.json)


def _show_one(run: RunFolder, options: argparse.Namespace) -> None:
    show_runs([run], as_json=options.json)


def _say(options: argparse.Namespace, record: dict[str, Any], words: str) -> None:
    show_json(record) if options.json else print(words)


def _parser() -> Parser:
    parser, common = run_listing.make_parser("runs", description=__doc__ or "")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, action: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        own = commands.add_parser(name, parents=[common], help=action.__doc__)
        own.set_defaults(action=action)
        return own

    listing = command("list", list_all)
    listing.add_argument("--state", choices=[state.value for state in RunState], help="only runs in this state")
    listing.add_argument("--deleted", action="store_true", help="the runs in the bin")
    actions_on_one = {
        "show": show, "stop": stop, "save": save, "sample": sample, "resume": resume, "again": again, "notes": note,
        "delete": delete, "restore": restore, "erase": erase,
    }  # fmt: skip
    own = {name: command(name, action) for name, action in actions_on_one.items()}
    for each in own.values():
        add_run_name(each)
    own["stop"].add_argument("--after_epoch", action="store_true", help="when the epoch has ended")
    own["notes"].add_argument("text", nargs="?", help="the new notes")
    own["resume"].add_argument("--state", type=Path, help="the state's folder")
    own["resume"].add_argument("--step", type=int, help="the step of the state")
    for name in ("resume", "again"):
        own[name].add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change an option")
        own[name].add_argument("--held", action="store_true", help="wait until it is released")
    return parser
