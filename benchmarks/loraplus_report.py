"""Tables and plot of what benchmarks/loraplus.py has measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plot(figures: Mapping[str, Any]) -> str:
    return ""


def tables(figures: Mapping[str, Any]) -> str:
    return ""
