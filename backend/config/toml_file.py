"""Configuration files: TOML with or without sections, read with tomllib and written with comments."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import toml
import tomlkit

from backend.atomic_file import write_text
from backend.config.configuration import Configuration, all_options
from backend.config.network_args import OPTIONS as IN_NETWORK_ARGS
from backend.config.network_args import format_network_args
from backend.config.options import Option
from backend.config.schema import GROUPS
from backend.errors import OptionError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


PRESET_TABLE = "preset"
"""The table in which a preset tells of itself; it holds no options."""

LINE = 100
"""Columns that a comment may fill."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables and values of a TOML file as they stand. Raises OptionError if it is missing or not TOML."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise OptionError(f"{path}: there is no such file", hint="check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{path}: cannot be read: {error}", hint="wanted a TOML file in UTF-8") from error
    return parse_toml(text, place=str(path))


def parse_toml(text: str, *, place: str = "the TOML") -> dict[str, Any]:
    """The tables and values of a TOML text. Raises OptionError that names the line of the fault."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"{place}: {error}", hint="Windows paths need single quotes or / in place of \\") from error


def flatten(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Option names and values out of a configuration file: the names of sections mean nothing, as in musubi-tuner."""
    values: dict[str, Any] = {}
    for name, value in tables.items():
        values.update(value if isinstance(value, Mapping) else {name: value})
    return values


def read_values(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Option names and values of a configuration file, and the place of each for messages.

    As in musubi-tuner, the ending .toml may be left out. What a preset tells of itself is passed over.
    """
    if path.suffix != ".toml":
        path = path.with_name(path.name + ".toml")
    values = flatten({name: table for name, table in read_toml(path).items() if name != PRESET_TABLE})
    return values, dict.fromkeys(values, path.name)


def read_configuration(path: Path) -> Configuration:
    """The configuration in a file. Raises OptionError with every mistake in it."""
    values, places = read_values(path)
    return Configuration.from_values(values, places=places)


def format_toml(values: Mapping[str, Any], *, title: str = "") -> str:
    """TOML text for option values, in sections, each option with a comment; None is left out.

    The comment stands behind the value: label and unit, the default if the value is another, and the choices; of these
    as much as fits into LINE columns. Raises OptionError for a text that the `toml` package, with which musubi-tuner
    reads, cannot read back.
    """
    document = tomlkit.document()
    if title:
        document.add(tomlkit.comment(title))
    for key, group in GROUPS.items():
        table = tomlkit.table()
        if group.title().casefold().replace(" ", "") != key:
            table.comment(group.title())
        for name in group.model_fields:
            if values.get(name) is not None and name not in IN_NETWORK_ARGS:
                _add(table, name, values[name])
        if key == "network" and (strings := format_network_args(values)):
            labels = (all_options()[string.partition("=")[0]].label for string in strings)
            _add_with_comment(table, "network_args", strings, ", ".join(labels))
        if table:
            document.add(tomlkit.nl())
            document.add(key, table)
    return tomlkit.dumps(document).lstrip("\n")


def write_configuration(path: Path, configuration: Configuration, *, title: str = "") -> None:
    """Write the complete configuration: every option that has a value."""
    write_text(path, format_toml(configuration.values(), title=title))


def _add(table: Any, name: str, value: Any) -> None:
    declared = all_options()[name]
    label = f"{declared.label} [{declared.unit}]" if declared.unit else declared.label
    default = _default(declared) if value != declared.default else ""
    _add_with_comment(table, name, value, label, default=default, choices=declared.choices)


def _add_with_comment(
    table: Any, name: str, value: Any, label: str, *, default: str = "", choices: Sequence[str] = ()
) -> None:
    """A label that finds no room behind the value stands above it, alone."""
    item = _item(name, value)
    last_line = f"{name} = {item.as_string()}".rpartition("\n")[2]
    room = LINE - len(f"{last_line} # ")
    if len(label) > room:
        table.add(tomlkit.comment(label))
    else:
        item.comment(_comment(label, default, choices, room=room))
    table.add(name, item)


def _comment(label: str, default: str, choices: Sequence[str], *, room: int) -> str:
    """Of the choices as many as fit, if that is more than one."""
    comment = "; ".join(filter(None, (label, default)))
    if len(comment) > room:
        return label
    longer = [f"{comment}; {' | '.join(choices)}"] if choices else []
    longer += [f"{comment}; {' | '.join(choices[:count])} | …" for count in range(len(choices) - 1, 1, -1)]
    return next((one for one in longer if len(one) <= room), comment)


def _default(declared: Option) -> str:
    """ "default: 32"; "" for a text without one, which is empty where it is not given."""
    if declared.default in (None, []):
        return "" if declared.kind in ("text", "list") else "default: none"
    return f"default: {str(declared.default).lower() if declared.kind == 'flag' else declared.default}"


def _item(name: str, value: Any) -> Any:
    """The value in the first of its spellings that both TOML parsers read alike."""
    for item in _spellings(value):
        text = f"{name} = {item.as_string()}"
        with contextlib.suppress(ValueError, IndexError):  # both of which `toml` raises for what it does not understand
            if tomllib.loads(text) == toml.loads(text) == {name: value}:
                return item
    raise OptionError(
        f"{name} is {value!r}, a text that musubi-tuner's TOML parser cannot read",
        hint="take out the unusual characters",
        option=name,
    )


def _spellings(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield _array(tomlkit.item(text) for text in value)
        if not any(not isinstance(text, str) or "'" in text or not text.isprintable() for text in value):
            yield _array(tomlkit.string(text, literal=True) for text in value)
        return
    yield tomlkit.item(value)
    if isinstance(value, str) and "'" not in value and value.isprintable():
        yield tomlkit.string(value, literal=True)


def _array(items: Iterable[Any]) -> Any:
    """One text a line where there are several."""
    array = tomlkit.array()
    array.extend(items)
    return array.multiline(len(array) > 1)
