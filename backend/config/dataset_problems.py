"""A mistake or doubt in a dataset file, with its place, so that a form can show it beside the field."""

from __future__ import annotations

from dataclasses import dataclass

from backend.errors import Problem


@dataclass(frozen=True)
class DatasetProblem(Problem):
    """dataset: its number, from 1; 0 for [general], None for the file as a whole. key: "" if no single one."""

    dataset: int | None = None
    key: str = ""
