"""The `network_args` strings of musubi-tuner and the options that stand in them, both ways; nothing is evaluated."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Any

from backend.config.options import describe
from backend.config.schema import NetworkOptions
from backend.errors import OptionError, Problem

OPTIONS = {
    name: declared for name in NetworkOptions.model_fields if (declared := describe(NetworkOptions, name)).network_arg
}
"""The options that stand inside `network_args`."""


def parse_network_args(strings: Any, *, place: str = "") -> dict[str, Any]:
    """Option names and values from strings such as "exclude_patterns=[r'.*single_blocks.*']".

    Each string is split at its first "=" only, so that patterns may contain others. Raises OptionError for every
    string that cannot be read: no "=", a name that is not known, a value that is not a literal.
    """
    where = f"{place}: " if place else ""
    if not isinstance(strings, list | tuple) or not all(isinstance(string, str) for string in strings):
        raise OptionError(
            f"{where}network_args is {strings!r}",
            hint='wanted a list of texts, such as ["loraplus_lr_ratio=4"]',
            option="network_args",
        )
    values: dict[str, Any] = {}
    problems = []
    for string in strings:
        try:
            name, text = _split(string, option="network_args")
            values[name] = _parse_value(name, text)
        except OptionError as error:
            problems += [Problem(where + p.message, hint=p.hint, option=p.option) for p in error.problems]
    if problems:
        raise OptionError.of(problems)
    return values


def format_network_args(values: Mapping[str, Any]) -> list[str]:
    """The strings for those options of `values` that stand in `network_args` and differ from their default."""
    return [
        f"{name}={_format_value(values[name])}"
        for name, declared in OPTIONS.items()
        if name in values and values[name] != declared.default
    ]


def parse_assignments(strings: Iterable[str], *, option: str) -> dict[str, Any]:
    """Keyword arguments from strings such as "betas=0.9,0.99"; values are Python literals, texts need quotes.

    Raises OptionError for every string that cannot be read.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for string in strings:
        try:
            name, text = _split(string, option=option)
            values[name] = _parse_literal(name, text, option=option)
        except OptionError as error:
            problems += error.problems
    if problems:
        raise OptionError.of(problems)
    return values


def _split(string: str, *, option: str) -> tuple[str, str]:
    name, equals, text = string.partition("=")
    if not equals or not name.strip().isidentifier():
        raise OptionError(f"{option}: {string!r} has no name before an =", hint="wanted name=value", option=option)
    return name.strip(), text.strip()


def _parse_value(name: str, text: str) -> Any:
    if name not in OPTIONS:
        raise OptionError(
            f"network_args: {name} is not known",
            hint=f"known are {', '.join(OPTIONS)}",
            option="network_args",
        )
    if OPTIONS[name].kind == "list":
        return _parse_list(name, text)
    return text


def _parse_list(name: str, text: str) -> list[str]:
    value = _parse_literal(name, text, option=name)
    if not isinstance(value, list) or not all(isinstance(pattern, str) for pattern in value):
        raise OptionError(
            f"{name} is {text}", hint="wanted a list of quoted patterns, such as [r'.*single_blocks.*']", option=name
        )
    return value


def _parse_literal(name: str, text: str, *, option: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise OptionError(
            f"{name}={text} cannot be read", hint="texts need quotes, lists need [ ]", option=option
        ) from error


def _format_value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_quote(pattern) for pattern in value) + "]"
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)


def _quote(pattern: str) -> str:
    """The pattern as a Python literal: raw, so that backslashes stay readable, where a raw literal can hold it."""
    if "=" in pattern:  # musubi-tuner splits at every =
        return repr(pattern).replace("=", r"\x3d")
    for quote in "'\"":
        if quote not in pattern and not pattern.endswith("\\") and re.fullmatch(r"[ -~\u00a0-\uffff]*", pattern):
            return f"r{quote}{pattern}{quote}"
    return repr(pattern)
