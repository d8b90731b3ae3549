"""The plan beside the form, as HTML: what is wrong, what will be trained, how long, what Start will use."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable
from html import escape
from pathlib import Path

from backend.config.command_line import format_arguments
from backend.config.configuration import Configuration
from backend.errors import Problem
from backend.plan.plan import Plan
from backend.runs.training_job import launch_arguments


def format_plan(plan: Plan) -> str:
    """The plan's problems and numbers."""
    rows = []
    if plan.decisions:  # with an invalid pattern nothing is decided
        rows += [
            ("Modules", f"{len(plan.trained):,} of {len(plan.decisions):,}"),
            ("Trainable parameters", f"{plan.trainable_parameters:,}"),
            ("LoRA file", format_bytes(plan.file_bytes)),
        ]
    rows.append(("Scale (alpha / rank)", "of each module" if plan.scale is None else f"{plan.scale:.4g}"))
    if count := plan.dataset:
        rows += [
            ("Dataset", f"{count.images:,} photos · {count.windows:,} windows of clips"),
            ("Batches per epoch", f"{count.batches:,}"),
        ]
        if count.missing:
            rows.append(("Still to be cached", f"{count.missing:,} (Start does it first)"))
    if plan.steps:
        rows.append(("Steps", f"<b>{plan.steps.total_steps:,}</b> · {plan.steps.epochs:,} epochs"))
    table = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f"{format_problems(plan.problems)}<dl class='loom-plan'>{table}</dl>"


def format_problems(problems: Iterable[Problem]) -> str:
    """Each problem as a note, the errors first, with a link to its field."""
    ordered = sorted(problems, key=lambda problem: problem.severity != "error")
    return "".join(_note(problem) for problem in ordered)


def format_bytes(count: float) -> str:
    """Bytes in the largest unit that leaves at least 1: 78.8 MiB."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:,.0f} B" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


def format_commands(configuration: Configuration, *, workspace: Path) -> str:
    """The command that Start runs, and the one that does all of Start by hand, quoted for this system's shell."""
    config_file = workspace / "runs" / f"<time>_{configuration.saving.output_name}" / "config.toml"
    started = [Path(sys.executable).name, *launch_arguments(config_file, configuration)]
    by_hand = ["python", "-m", "backend", "train", "--workspace", str(workspace)]
    by_hand += format_arguments(configuration.values())
    return f"# what Start runs\n{_quote(started)}\n\n# the same by hand\n{_quote(by_hand)}\n"


def _note(problem: Problem) -> str:
    label = "Error" if problem.severity == "error" else "Warning"
    sign = "✕" if problem.severity == "error" else "▲"
    hint = f" <span class='loom-hint'>{escape(_sentence(problem.hint))}.</span>" if problem.hint else ""
    link = ""
    if problem.option:
        link = f" <a href='#{escape(problem.option)}' data-option='{escape(problem.option)}'>Show</a>"
    return (
        f"<div class='loom-note loom-{problem.severity}'><span role='img' aria-label='{label}'>{sign}</span> "
        f"{escape(_sentence(problem.message))}.{hint}{link}</div>"
    )


def _sentence(text: str) -> str:
    """The text with a capital, unless it begins with a name that has to stay as it is."""
    first_word = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first_word.isalpha() else text


def _quote(arguments: list[str]) -> str:
    return subprocess.list2cmdline(arguments) if sys.platform == "win32" else shlex.join(arguments)
