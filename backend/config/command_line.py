"""Options as flags of a command: a parser made from the schema, and the command line that gives the same values."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from backend.config import schema
from backend.config.configuration import (
    Configuration,
    ExpandedValues,
    all_options,
    expand_network_args,
    group_of_option,
    skipped_options,
    suggestion,
    unknown_option,
)
from backend.config.network_args import OPTIONS as IN_NETWORK_ARGS
from backend.config.network_args import format_network_args
from backend.config.options import Option, format_steps_or_ratio
from backend.config.toml_file import read_values
from backend.errors import OptionError, Problem


class Parser(argparse.ArgumentParser):
    """An argument parser that raises OptionError where argparse would end the program, and suggests names for typos."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(message, hint=f"{self.prog} --help lists all options")

    def _parse_optional(self, arg_string: str) -> Any:
        """What argparse asks of each argument, None for a value: a pattern or a tag may begin with one dash."""
        is_flag = arg_string.startswith("--") or arg_string in self._option_string_actions
        return super()._parse_optional(arg_string) if is_flag else None

    def problems_of(self, unknown: list[str]) -> list[Problem]:
        """What to say about the arguments that `parse_known_args` left over."""
        flags = [text for text in unknown if text.startswith("--")]  # what follows an unknown flag is its value
        return [self._unknown_flag(text) for text in flags] or [
            Problem(f"{text!r} was not expected", hint=f"{self.prog} --help lists all options") for text in unknown
        ]

    def _unknown_flag(self, text: str) -> Problem:
        name = text.split("=")[0].lstrip("-")
        own = {flag.lstrip("-"): None for flag in self._option_string_actions}
        found = unknown_option(name)
        return replace(
            found, message=found.message.replace(name, f"--{name}", 1), hint=suggestion(name, own) or found.hint
        )


def make_parser(command: str, *, description: str, groups: Iterable[str], only: bool = False) -> Parser:
    """A parser for `python -m backend COMMAND` with the options as flags; --help shows those of `groups`.

    only: the options of other groups are no flags; a configuration file may hold them even so.
    """
    groups = set(groups)
    parser = Parser(
        prog=f"python -m backend {command}",
        description=description,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config_file", metavar="TOML", help="read options from this file; flags override it")
    for key, group in schema.GROUPS.items():
        if only and key not in groups:
            continue
        section = parser.add_argument_group(group.title())
        for name in group.model_fields:
            _add_flag(section, all_options()[name], shown=key in groups)
        if key == "network":
            help_text = "these options as musubi-tuner writes them, such as loraplus_lr_ratio=4"
            section.add_argument("--network_args", nargs="*", metavar="NAME=VALUE", help=help_text)
    return parser


def finite(text: str) -> float:
    """The type of a flag that is a number, but not nan and not inf."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"is {text}, but a number is wanted")
    return number


def read_arguments(parser: Parser, arguments: list[str]) -> tuple[Configuration, argparse.Namespace]:
    """The configuration from a file and flags, flags over file, and what the command's own arguments say.

    Raises OptionError with every mistake in both.
    """
    parsed, unknown = parser.parse_known_args(arguments)
    problems = parser.problems_of(unknown)
    file = ExpandedValues({}, {}, ())
    try:
        if "config_file" in parsed:
            file = expand_network_args(*read_values(Path(parsed.config_file)))
        flags = expand_network_args({name: value for name, value in vars(parsed).items() if _is_option(name)}, {})
        problems += [*file.problems, *flags.problems]
        if "network_args" in parsed:  # the whole list is replaced, as in musubi-tuner
            file = replace(file, values={k: v for k, v in file.values.items() if k not in IN_NETWORK_ARGS})
        places = {name: place for name, place in file.places.items() if name not in flags.values}
        configuration = Configuration.from_values({**file.values, **flags.values}, places=places)
    except OptionError as error:
        problems += error.problems
    if problems:
        raise OptionError.of(problems)
    for warning in skipped_options(file.values, places=file.places):
        print(f"warning: {warning}", file=sys.stderr)
    return configuration, parsed


def format_arguments(values: Mapping[str, Any]) -> list[str]:
    """The flags that give these values again, for those that differ from their default."""
    arguments = []
    for name, declared in all_options().items():
        if name in IN_NETWORK_ARGS or values.get(name) is None or values[name] == declared.default:
            continue
        arguments += _format_flag(declared, values[name])
    if strings := format_network_args(values):
        arguments += ["--network_args", *strings]
    return arguments


def _is_option(name: str) -> bool:
    return name in group_of_option() or name == "network_args"


def _add_flag(section: argparse._ArgumentGroup, declared: Option, *, shown: bool) -> None:
    flag = f"--{declared.name}"
    help_text = _help(declared) if shown else argparse.SUPPRESS
    if declared.kind == "flag":
        section.add_argument(flag, dest=declared.name, action="store_true", help=help_text)
        no_help = f"the opposite of {flag}" if shown and declared.default else argparse.SUPPRESS
        section.add_argument(f"--no_{declared.name}", dest=declared.name, action="store_false", help=no_help)
    elif declared.kind == "list":
        section.add_argument(flag, action="extend", nargs="*", metavar="TEXT", help=help_text)
    else:
        metavar = "{" + ",".join(declared.choices) + "}" if declared.choices else declared.kind.upper()
        section.add_argument(flag, metavar=metavar, help=help_text)


def _help(declared: Option) -> str:
    default = f" (default: {declared.default})" if declared.default not in (None, [], False) else ""
    return (declared.help + default).replace("%", "%%")


def _format_flag(declared: Option, value: Any) -> list[str]:
    flag = f"--{declared.name}"
    if declared.kind == "flag":
        return [flag if value else f"--no_{declared.name}"]
    if declared.kind == "list":
        is_plain = not any(text.startswith("-") for text in value)
        return [flag, *value] if is_plain else [f"{flag}={text}" for text in value]
    text = format_steps_or_ratio(value) if declared.kind == "steps_or_ratio" else str(value)
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]  # "-text" alone would be taken for a flag
