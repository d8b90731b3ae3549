"""The plan in one line, for the bar at the bottom of a narrow screen: ready, with what, or how many problems."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from backend.errors import Problem
from backend.plan.plan import Plan
from gui.texts import Texts
from gui.units import format_bytes


def format_verdict(problems: Sequence[Problem], plan: Plan | None, texts: Texts) -> str:
    """The line as hidden HTML, which gui/assets/plan_sheet.js puts into the bar. plan: None where none can be made."""
    errors = sum(problem.severity == "error" for problem in problems)
    state = "problems" if errors else "warnings" if problems else "ready"
    parts = [texts.count("plan.verdict.problems", errors)] if errors else [_ready(plan, texts)]
    if state == "warnings":
        parts.append(texts.count("plan.verdict.warnings", len(problems)))
    return f"<p class='loom-verdict' data-state='{state}' hidden>{escape(' · '.join(parts))}</p>"


def _ready(plan: Plan | None, texts: Texts) -> str:
    if plan is None or plan.steps is None:
        return texts("plan.verdict.ready")
    size = format_bytes(plan.file_bytes)
    return texts("plan.verdict.ready_with", steps=f"{plan.steps.total_steps:,}", size=size)
