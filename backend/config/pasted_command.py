"""A pasted command line taken apart into arguments, by the rules of the shell that it was written for."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import takewhile

from backend.config.shell_text import POWERSHELL_QUOTES, commands_of, shell_of
from backend.config.shell_variables import ShellVariables
from backend.errors import OptionError


@dataclass(frozen=True)
class Pasted:
    """A pasted text taken apart.

    commands: the arguments of each. environment: variables that it sets and does not use itself. unknown: variables, as
    they are written, whose values it does not tell; they stand in the arguments as they were.
    """

    commands: list[list[str]]
    environment: dict[str, str]
    unknown: frozenset[str]


def split_command(text: str) -> Pasted:
    """The commands in a pasted text, with the variables filled in that it sets.

    Raises OptionError for quotes that do not end.
    """
    shell = shell_of(text)
    variables = ShellVariables(shell)
    split = [words for command in commands_of(text, shell) if (words := _without_assignments(command, variables))]
    return Pasted(split, variables.unused(), frozenset(variables.unknown))


def _without_assignments(command: str, variables: ShellVariables) -> list[str]:
    """The words of a command; what it sets is kept among the variables."""
    if variables.shell == "bash":
        words = _bash_words(variables.fill(command))
        return _without_bash_assignments(words, variables) if re.match(r"(export\s+)?\w+=", command) else words
    setting = _SETTING[variables.shell].match(command)
    if setting is None:
        return _WORDS[variables.shell](variables.fill(command))
    value = variables.fill(command[setting.end() :])
    if variables.shell == "cmd":
        variables.set(setting["name"], value.removesuffix('"' if setting["quote"] else "").strip(), is_exported=True)
    else:
        variables.set(setting["name"], " ".join(_powershell_words(value)), is_exported=bool(setting["export"]))
    return []


def _without_bash_assignments(words: list[str], variables: ShellVariables) -> list[str]:
    is_export = words[:1] == ["export"]
    words = words[is_export:]
    setting = list(takewhile(lambda word: re.match(r"\w+=", word), words))
    for word in setting:
        name, _, value = word.partition("=")
        variables.set(name, value, is_exported=is_export or len(setting) < len(words))
    return words[len(setting) :]


_SETTING = {
    "powershell": re.compile(r"(?i)\$(?P<export>env:)?(?P<name>\w+)\s*=\s*"),
    "cmd": re.compile(r"(?i)set\s+(?P<quote>\"?)(?P<name>\w+)="),
}


def _bash_words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise _unended(line) from error


_QUOTE = f"[{POWERSHELL_QUOTES}]"
_POWERSHELL_WORD = re.compile(
    rf"""
    {_QUOTE}(?P<single>(?:[^{POWERSHELL_QUOTES}]|{_QUOTE}{{2}})*){_QUOTE}  # nothing is replaced; two quotes are one
    | "(?P<double>(?:[^"`]|""|`.)*)"                                       # `x is x; two quotes are one
    | (?P<plain>(?:`.|[^\s`{POWERSHELL_QUOTES}"])+)                        # `x is x
    """,
    re.VERBOSE | re.DOTALL,
)


def _powershell_words(line: str) -> list[str]:
    """The arguments as the program gets them: PowerShell's own quotes, then Windows' inside of them."""
    words, position, word = [], 0, None
    line = line.removeprefix("&").lstrip()
    while position < len(line):
        if line[position].isspace():
            if word is not None:
                words.append(word)
            word, position = None, position + 1
            continue
        match = _POWERSHELL_WORD.match(line, position)
        if match is None:
            raise _unended(line)
        word = (word or "") + _powershell_part(match)
        position = match.end()
    if word is not None:
        words.append(word)
    return [_from_windows(text) for text in words]


def _from_windows(word: str) -> str:
    r"""What a program gets of a word: without the quotes around it, and with \" inside of it as "."""
    if word.startswith('"'):
        return (_windows_words(word) or [""])[0]
    return re.sub(r'((?:\\\\)*)\\"', lambda match: match[1][: len(match[1]) // 2] + '"', word)


def _powershell_part(match: re.Match[str]) -> str:
    if match["single"] is not None:
        return re.sub(f"({_QUOTE}){_QUOTE}", r"\1", match["single"])
    if match["double"] is not None:
        return re.sub(r"`(.)", r"\1", match["double"].replace('""', '"'))
    return re.sub(r"`(.)", r"\1", match["plain"])


def _without_carets(line: str) -> str:
    """The line as the program gets it: a caret outside of quotes stands for the sign after it."""
    out, quoted, position = "", False, 0
    while position < len(line):
        letter = line[position]
        if letter == "^" and not quoted and position + 1 < len(line):
            position += 1
            letter = line[position]
        elif letter == '"':
            quoted = not quoted
        out += letter
        position += 1
    return out


def _windows_words(line: str) -> list[str]:
    """The arguments in a Windows command line, as the C runtime reads it.

    Source: https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments
    """
    words: list[str] = []
    word, quoted, position = None, False, 0
    while position < len(line):
        slashes = re.match(r"\\*", line[position:])
        count = len(slashes[0]) if slashes else 0
        position += count
        at_quote = position < len(line) and line[position] == '"'
        if count:
            word = (word or "") + "\\" * (count // 2 if at_quote else count)
        if at_quote:
            if count % 2:
                word = (word or "") + '"'
            else:
                word, quoted = word or "", not quoted
            position += 1
        elif position < len(line) and not count:
            if line[position] in " \t" and not quoted:
                if word is not None:
                    words.append(word)
                word = None
            else:
                word = (word or "") + line[position]
            position += 1
    if quoted:
        raise _unended(line)
    return words if word is None else [*words, word]


_WORDS = {
    "powershell": _powershell_words,
    "cmd": lambda line: _windows_words(_without_carets(line)),
}


def _unended(line: str) -> OptionError:
    start = line if len(line) <= 60 else f"{line[:60]}…"
    return OptionError(f"a quote does not end in: {start}", hint="paste the whole command")
