"""Which names a regular expression matches, within a time limit: `(a+)+$` must hang neither the page nor a training.

The answers are those of Python's `re`, as musubi-tuner has them. A match cannot be interrupted, and while it lasts no
other thread runs, so patterns are tried in a process of their own (20 ms); what was found is kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LIMIT_S = 2.0
"""An honest pattern takes 1 ms for the 320 names of the full-size model; the rest is for a machine that is busy."""

MOST_KEPT = 512

_PROCESS = Path(__file__).with_name("pattern_process.py")


@dataclass(frozen=True)
class Match:
    """What was found with a pattern. whole: the names that it matches; part: those that it only fits a part of, looked
    for where it matches none; meant: the pattern with `.*` around it, if that matches just these. fault: why it is no
    regular expression, and position: where; position may be None.
    """

    pattern: str
    whole: frozenset[str] = frozenset()
    part: frozenset[str] = frozenset()
    meant: str = ""
    fault: str = ""
    position: int | None = None
    is_too_slow: bool = False

    @property
    def is_usable(self) -> bool:
        return not self.fault and not self.is_too_slow


def match_patterns(patterns: Sequence[str], names: Sequence[str], *, limit_s: float = LIMIT_S) -> list[Match]:
    """What is found with each pattern, in their order. limit_s: for each of them."""
    return _kept_matches(tuple(names), limit_s).of(patterns)


class _KeptMatches:
    """What was found with the same names; beyond MOST_KEPT patterns the oldest are looked for again."""

    def __init__(self, names: tuple[str, ...], limit_s: float) -> None:
        self._names = names
        self._limit_s = limit_s
        self._found: OrderedDict[str, Match] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, patterns: Sequence[str]) -> list[Match]:
        """Where two ask for the same at once, the second waits for what the first finds."""
        with self._lock:
            missing = [pattern for pattern in dict.fromkeys(patterns) if pattern not in self._found]
            self._found.update({match.pattern: match for match in _try_all(missing, self._names, self._limit_s)})
            matches = [self._found[pattern] for pattern in patterns]
            while len(self._found) > MOST_KEPT:
                self._found.popitem(last=False)
        return matches


@lru_cache(maxsize=4)
def _kept_matches(names: tuple[str, ...], limit_s: float) -> _KeptMatches:
    return _KeptMatches(names, limit_s)


def _try_all(patterns: Sequence[str], names: Sequence[str], limit_s: float) -> list[Match]:
    """A process for all patterns, and another for those after one that was too slow."""
    matches: list[Match] = []
    while len(matches) < len(patterns):
        rest = patterns[len(matches) :]
        lines = _run_process(rest, names, limit_s)
        matches += [_match(pattern, json.loads(line), names) for pattern, line in zip(rest, lines, strict=False)]
        if len(lines) < len(rest):
            matches.append(Match(rest[len(lines)], is_too_slow=True))
    return matches


def _run_process(patterns: Sequence[str], names: Sequence[str], limit_s: float) -> list[str]:
    """The lines that were written; fewer than patterns where one was too slow."""
    asked = json.dumps({"patterns": patterns, "names": names, "limit_s": limit_s})
    command = [sys.executable, "-I", "-S", str(_PROCESS)]
    ended = subprocess.run(command, input=asked, capture_output=True, encoding="ascii", check=False)
    lines = ended.stdout.splitlines()
    if len(lines) < len(patterns) and "Timeout" not in ended.stderr:
        raise RuntimeError(f"the process that tries patterns ended with {ended.returncode}: {ended.stderr}")
    return lines


def _match(pattern: str, answer: dict, names: Sequence[str]) -> Match:
    if fault := answer.get("fault", ""):
        return Match(pattern, fault=fault, position=answer["position"])
    whole, part = (frozenset(names[index] for index in answer[key]) for key in ("whole", "part"))
    return Match(pattern, whole, part, answer["meant"])
