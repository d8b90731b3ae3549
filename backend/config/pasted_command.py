"""A pasted command line taken apart into arguments, by the rules of the shell that it was written for."""

from __future__ import annotations

import re
import shlex

from backend.config.shells import Shell
from backend.errors import OptionError


def split_command(text: str) -> list[list[str]]:
    """The arguments of each command in a pasted text; continued lines are one, comments and blank lines none.

    Raises OptionError for quotes that do not end.
    """
    shell = shell_of(text)
    lines = _joined_lines(text, shell)
    if shell == "bash":
        commands = [_bash_words(line) for line in lines]
        return [command for line in commands for command in _split_at(line, ("&&", ";"))]
    if shell == "powershell":
        return [words for line in lines if not line.startswith("$") and (words := _powershell_words(line))]
    return [words for line in lines if (words := _windows_words(_without_carets(line)))]


def shell_of(text: str) -> Shell:
    """Which shell a command was written for, by how it goes on in the next line, and how it quotes."""
    if re.search(r"`[ \t]*\n", text) or re.search(r"(?m)^\s*(& ['\"]|\$\w+ = |Set-Location )", text):
        return "powershell"
    if re.search(r"\^[ \t]*\n|\^[\"&|%]", text):
        return "cmd"
    if re.search(r"\\[ \t]*\n", text):
        return "bash"
    has_windows_path = re.search(r"(?<![\w'])[A-Za-z]:\\\w", text)
    return "cmd" if has_windows_path and "'" not in text else "bash"


_CONTINUATION = {"bash": "\\", "powershell": "`", "cmd": "^"}
_COMMENT = {"bash": r"#", "powershell": r"#", "cmd": r"(?i:rem\b|::)"}


def _joined_lines(text: str, shell: Shell) -> list[str]:
    """One line for each command."""
    joined = re.sub(rf"{re.escape(_CONTINUATION[shell])}[ \t]*\n[ \t]*", " ", text.replace("\r\n", "\n"))
    lines = (line.strip() for line in joined.split("\n"))
    return [re.sub(r"^[$>] ", "", line) for line in lines if line and not re.match(_COMMENT[shell], line)]


def _bash_words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError as error:
        raise _unended(line) from error


def _split_at(words: list[str], marks: tuple[str, ...]) -> list[list[str]]:
    commands: list[list[str]] = [[]]
    for word in words:
        if word in marks:
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


_QUOTES = "'\u2018\u2019\u201a\u201b"
"""PowerShell takes curly quotes for straight ones."""

_POWERSHELL_WORD = re.compile(
    rf"""
    [{_QUOTES}](?P<single>(?:[^{_QUOTES}]|[{_QUOTES}]{{2}})*)[{_QUOTES}]    # nothing is replaced; two quotes are one
    | "(?P<double>(?:[^"`]|""|`.)*)"                                      # `x is x; two quotes are one
    | (?P<plain>[^\s{_QUOTES}"]+)
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
    return [(_windows_words(text) or [""])[0] if text.startswith('"') else text.replace('\\"', '"') for text in words]


def _powershell_part(match: re.Match[str]) -> str:
    if match["single"] is not None:
        return re.sub(f"([{_QUOTES}])[{_QUOTES}]", r"\1", match["single"])
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


def _unended(line: str) -> OptionError:
    start = line if len(line) <= 60 else f"{line[:60]}…"
    return OptionError(f"a quote does not end in: {start}", hint="paste the whole command")
