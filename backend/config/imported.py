"""What an import gives: option values, and a word on everything that was not taken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Source = Literal["toml", "command", "metadata", "kohya_ss", "musubi_gui"]

LONGEST_VALUE = 120


@dataclass(frozen=True)
class PassedOver:
    """A setting that was not taken, as it was written, why, and the way out if there is one."""

    name: str
    value: str
    reason: str
    hint: str = ""


@dataclass(frozen=True)
class Imported:
    """values: of options, checked. passed_over: what was not understood."""

    source: Source
    values: Mapping[str, Any]
    passed_over: tuple[PassedOver, ...]


def as_written(value: Any) -> str:
    """A value as a person reads it, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}…"
