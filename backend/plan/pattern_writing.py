"""Patterns written by the program: for a set of modules, to add and remove modules, and for common selections."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from backend.plan.matching import match_patterns
from backend.plan.modules import LinearModule
from backend.plan.selection import DEFAULT_EXCLUDE, is_default_excluded


@dataclass(frozen=True)
class PatternLists:
    """The two lists, as `select_modules` takes them."""

    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()


COMMON_SELECTIONS = {
    "all": PatternLists(),
    "double": PatternLists(exclude=(".*single_blocks.*",)),
    "single": PatternLists(exclude=(".*double_blocks.*",)),
    "single_from_10th": PatternLists(exclude=(".*",), include=(r".*single_blocks\.\d{2}\.linear.*",)),
    "attention": PatternLists(exclude=(".*",), include=(".*_attn_.*",)),
    "mlp": PatternLists(exclude=(".*",), include=(r".*_mlp\..*",)),
    "modulation": PatternLists(include=(DEFAULT_EXCLUDE,)),
}
"""What many choose. Attention and MLP are parts of double blocks; a single block has both in each of its Linears."""

_KNOWN_PARTS = {
    frozenset({"linear1", "linear2"}): "linear.*",
    frozenset(
        f"{stream}_{part}" for stream in ("img", "txt") for part in ("attn_qkv", "attn_proj", "mlp.fc1", "mlp.fc2")
    ): "(img|txt)_(attn|mlp).*",
}
"""Shorter than to list them: all of a block but its modulation."""


def toggle_modules(modules: Sequence[LinearModule], names: Collection[str], lists: PatternLists) -> PatternLists:
    """The lists with which these modules are trained as well; where they all are already, without them.

    Of a block, modulation is only added where it is asked for alone. All other modules keep their state. Patterns that
    cannot be used stay as they are.
    """
    by_default = {module.name for module in modules if is_default_excluded(module)}
    usual = set(names) - by_default or set(names)
    if usual <= _trained(modules, lists):
        return remove_modules(modules, names, lists)
    return add_modules(modules, usual, lists)


def add_modules(modules: Sequence[LinearModule], names: Collection[str], lists: PatternLists) -> PatternLists:
    """The lists with which these modules are trained as well, and nothing else changes."""
    wanted = set(names)
    kept = tuple(
        pattern
        for written, matched in _matched(modules, lists.exclude)
        for pattern in _without(written, matched, wanted, modules, is_split=False)
    )
    freed = PatternLists(kept, lists.include)
    missing = wanted - _trained(modules, freed)
    return PatternLists(kept, _with(lists.include, missing, modules))


def remove_modules(modules: Sequence[LinearModule], names: Collection[str], lists: PatternLists) -> PatternLists:
    """The lists with which these modules are not trained, and nothing else changes."""
    unwanted = set(names)
    kept = tuple(
        pattern
        for written, matched in _matched(modules, lists.include)
        for pattern in _without(written, matched, unwanted, modules, is_split=True)
    )
    left = unwanted & _trained(modules, PatternLists(lists.exclude, kept))
    return PatternLists(_with(lists.exclude, left, modules), kept)


def patterns_for(names: Collection[str], modules: Iterable[LinearModule]) -> list[str]:
    """Patterns that match these modules and no others; parts with the same blocks share one."""
    blocks: dict[str, set[int]] = {}
    parts: dict[str, set[str]] = {}
    numbers_of: dict[tuple[str, str], set[int]] = {}
    for kind, number, part in (_split(module.name) for module in modules):
        blocks.setdefault(kind, set()).add(number)
        parts.setdefault(kind, set()).add(part)
    for kind, number, part in sorted(_split(name) for name in names):
        numbers_of.setdefault((kind, part), set()).add(number)
    parts_of: dict[tuple[str, frozenset[int]], list[str]] = {}
    for (kind, part), numbers in numbers_of.items():
        parts_of.setdefault((kind, frozenset(numbers)), []).append(part)
    return [
        rf"{kind}\.{_numbers(numbers, blocks[kind])}\.{_parts(same, parts[kind])}"
        for (kind, numbers), same in parts_of.items()
    ]


def _without(
    pattern: str, matched: frozenset[str], names: set[str], modules: Sequence[LinearModule], *, is_split: bool
) -> list[str]:
    """What takes the place of a pattern that should no longer match these names.

    is_split: whether a pattern of the user's own is written anew for the rest of its modules; otherwise it stays.
    """
    rest = matched - names
    if rest == matched:
        return [pattern]
    if not rest:
        return []
    is_ours = patterns_for(matched, modules) == [pattern]
    return patterns_for(rest, modules) if is_split or is_ours else [pattern]


def _with(patterns: Sequence[str], names: set[str], modules: Sequence[LinearModule]) -> tuple[str, ...]:
    """The patterns and what matches these names; written together with patterns that were written so before."""
    if not names:
        return tuple(patterns)
    ours = {
        pattern: matched
        for pattern, matched in _matched(modules, patterns)
        if matched and patterns_for(matched, modules) == [pattern]
    }
    written = patterns_for(names.union(*ours.values()), modules)
    return (*(pattern for pattern in patterns if pattern not in ours), *written)


def _trained(modules: Sequence[LinearModule], lists: PatternLists) -> set[str]:
    """The names that are trained, without the patterns that cannot be used."""
    excluded = {module.name for module in modules if is_default_excluded(module)}
    excluded = excluded.union(*(matched for _, matched in _matched(modules, lists.exclude)))
    included = set().union(*(matched for _, matched in _matched(modules, lists.include)))
    return {module.name for module in modules if module.name not in excluded or module.name in included}


def _matched(modules: Sequence[LinearModule], patterns: Sequence[str]) -> list[tuple[str, frozenset[str]]]:
    """Each pattern with the names that it matches."""
    if not patterns:
        return []
    return [(match.pattern, match.whole) for match in match_patterns(patterns, [module.name for module in modules])]


def _split(name: str) -> tuple[str, int, str]:
    """`double_blocks.3.img_mlp.fc1` -> ("double_blocks", 3, "img_mlp.fc1")."""
    kind, number, part = name.split(".", 2)
    return kind, int(number), part


def _parts(parts: Sequence[str], all_parts: Collection[str]) -> str:
    if len(parts) == 1:
        return re.escape(parts[0])
    if set(parts) == set(all_parts):
        return ".*"
    return _KNOWN_PARTS.get(frozenset(parts)) or f"({'|'.join(map(re.escape, parts))})"


def _numbers(numbers: Collection[int], all_numbers: Collection[int]) -> str:
    """A pattern for these numbers: `24`, `[1-3]\\d`, `([2-9]|1[0-35])`."""
    if len(numbers) > 1 and set(numbers) == set(all_numbers):
        return r"\d+"
    units_of_ten: dict[int, list[int]] = {}
    for number in sorted(numbers):
        units_of_ten.setdefault(number // 10, []).append(number % 10)
    tens_of_units: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for ten, units in units_of_ten.items():  # tens of as many digits can share their units
        tens_of_units.setdefault((tuple(units), len(str(ten or ""))), []).append(ten)
    alternatives = [prefix + _digits(units) for (units, _), tens in tens_of_units.items() for prefix in _prefixes(tens)]
    return alternatives[0] if len(alternatives) == 1 else f"({'|'.join(alternatives)})"


def _prefixes(tens: Sequence[int]) -> list[str]:
    if tens[0] == 0:
        return [""]
    return [_digits(tens)] if tens[-1] < 10 else [str(ten) for ten in tens]


def _digits(digits: Sequence[int]) -> str:
    """A pattern for one of these digits, in rising order: `4`, `[0-35]`, `\\d`."""
    if len(digits) == 10:
        return r"\d"
    runs: list[list[int]] = []
    for digit in digits:
        if runs and runs[-1][-1] == digit - 1:
            runs[-1].append(digit)
        else:
            runs.append([digit])
    texts = [f"{run[0]}-{run[-1]}" if len(run) > 2 else "".join(map(str, run)) for run in runs]
    return str(digits[0]) if len(digits) == 1 else f"[{''.join(texts)}]"
