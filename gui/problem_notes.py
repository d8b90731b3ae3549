"""Problems and messages as HTML notes: what is wrong, the way out, and a link to the field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from backend.errors import Problem
from gui.texts import Texts


def format_problems(problems: Iterable[Problem], texts: Texts) -> str:
    """Each problem as a note, the errors first, with a link to its field; of several alike the first, with the others
    folded away."""
    alike: dict[tuple[str, ...], list[Problem]] = {}
    for problem in sorted(problems, key=lambda problem: problem.severity != "error"):
        alike.setdefault(_sort(problem), []).append(problem)
    return "".join(_note(first, texts, others) for first, *others in alike.values())


def told(text: str) -> str:
    """A message as a note."""
    return f"<div class='loom-note'>{escape(text)}</div>"


def _sort(problem: Problem) -> tuple[str, ...]:
    """What problems have in common that differ in their place alone, which stands before a colon."""
    place, colon, what = problem.message.partition(": ")
    return (problem.severity, problem.option, problem.hint, what if colon else place)


def _note(problem: Problem, texts: Texts, others: Sequence[Problem]) -> str:
    sign = "✕" if problem.severity == "error" else "▲"
    label = texts("plan.error") if problem.severity == "error" else texts("plan.warning")
    hint = f" <span class='loom-hint'>{escape(_sentence(texts.message(problem.hint)))}</span>" if problem.hint else ""
    link = ""
    if problem.option:
        name = escape(problem.option)
        link = f" <a href='#{name}' data-option='{name}'>{escape(texts('plan.show'))}</a>"
    return (
        f"<div class='loom-note loom-{problem.severity}'><span role='img' aria-label='{escape(label)}'>{sign}</span> "
        f"{escape(_sentence(texts.message(problem.message)))}{hint}{link}{_folded(others, texts)}</div>"
    )


def _folded(others: Sequence[Problem], texts: Texts) -> str:
    if not others:
        return ""
    lines = "".join(f"<li>{escape(texts.message(problem.message))}</li>" for problem in others)
    summary = escape(texts.count("plan.more_alike", len(others)))
    return f"<details><summary>{summary}</summary><ul>{lines}</ul></details>"


def _sentence(text: str) -> str:
    """The text with a capital, unless it begins with a name or a path that has to stay as it is, and with an end."""
    first_word, place = text.split(" ", 1)[0], text.rpartition(": ")[0]
    begun = text[:1].upper() + text[1:] if first_word.isalpha() and not re.search(r"[/\\.]", place) else text
    if begun.endswith((".", "?", "!", "。", "？", "！")):
        return begun
    return f"{begun}{'.' if begun[-1:].isascii() else '。'}"
