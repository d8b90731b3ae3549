"""A pasted shell text as single commands, each still quoted: without comments, cut where its shell cuts it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from backend.config.shells import Shell

POWERSHELL_QUOTES = "'\u2018\u2019\u201a\u201b"
"""PowerShell takes curly quotes for straight ones."""

_QUOTED = {
    "bash": re.compile(r"""(?P<literal>'[^']*'|\\.)|(?P<filled>"(?:\\.|[^"\\])*")""", re.DOTALL),
    "powershell": re.compile(
        rf"""(?P<literal>[{POWERSHELL_QUOTES}](?:[^{POWERSHELL_QUOTES}]|[{POWERSHELL_QUOTES}]{{2}})*"""
        rf"""[{POWERSHELL_QUOTES}]|`.)|(?P<filled>"(?:`.|""|[^"`])*")""",
        re.DOTALL,
    ),
    "cmd": re.compile(r"""(?P<literal>\^.)|(?P<filled>"[^"]*")""", re.DOTALL),
}
"""What is quoted: literal as it stands, filled with the values of variables inside of it."""

_CONTINUATION = {"bash": "\\", "powershell": "`", "cmd": "^"}

_REDIRECTION = r"&>>?|(?:(?<!\S)[\d*])?(?:>>?|<)(?:&\d)?"
_CONTROL = {"bash": r"&&|\|\||[;|&]", "powershell": r"&&|\|\||[;|]", "cmd": r"&&|\|\||[|&]"}


def shell_of(text: str) -> Shell:
    """Which shell a text was written for, by how it goes on in the next line, sets variables, and quotes."""
    if re.search(r"`[ \t]*\n", text) or re.search(r"(?m)^\s*(& ['\"]|\$(env:)?\w+\s*=\s|Set-Location )", text):
        return "powershell"
    if re.search(r"\^[ \t]*\n|\^[\"&|%]", text) or re.search(r"(?im)^\s*(@echo off|set \"?\w+=)", text):
        return "cmd"
    if re.search(r"\\[ \t]*\n", text):
        return "bash"
    is_of_windows = re.search(r"(?<![\w'])[A-Za-z]:\\\w|%\w+%", text)
    return "cmd" if is_of_windows and "'" not in text else "bash"


def commands_of(text: str, shell: Shell) -> list[str]:
    """Each command as it was typed; where its output goes is left out, and so is a prompt in front of it.

    A line that begins with a flag belongs to the command before it: the sign that continues the line got lost, or a
    comment stands between.
    """
    commands: list[str] = []
    for line in _lines(text, shell):
        for command in _cut(line, shell):
            if command.startswith("--") and commands:
                commands[-1] += f" {command}"
            else:
                commands.append(command)
    return commands


def quoted_parts(line: str, shell: Shell) -> Iterator[tuple[str, str]]:
    """The line in pieces: "plain", "literal" where nothing is replaced, and "filled", in quotes but with variables.

    A quote that does not end is plain.
    """
    position = 0
    for match in _QUOTED[shell].finditer(line):
        if match.start() > position:
            yield "plain", line[position : match.start()]
        yield str(match.lastgroup), match[0]
        position = match.end()
    if position < len(line):
        yield "plain", line[position:]


def _lines(text: str, shell: Shell) -> Iterator[str]:
    """Each line that is not blank, with those that continue it."""
    bare = "\n".join(_without_comment(line, shell) for line in text.replace("\r\n", "\n").split("\n"))
    joined = re.sub(rf"{re.escape(_CONTINUATION[shell])}[ \t]*\n[ \t]*", " ", bare)
    for line in joined.split("\n"):
        if command := re.sub(r"^([$>]|PS [^>]*>) ", "", line.strip()):
            yield command


def _without_comment(line: str, shell: Shell) -> str:
    if shell == "cmd":
        return "" if re.match(r"\s*@?(?i:rem\b|::)", line) else line
    kept = ""
    for kind, part in quoted_parts(line, shell):
        comment = re.search(r"(?<!\S)#", part) if kind == "plain" else None
        if comment and (comment.start() or not kept or kept[-1].isspace()):
            return kept + part[: comment.start()]
        kept += part
    return kept


def _cut(line: str, shell: Shell) -> list[str]:
    """The commands of a line, each without its redirections and the files that they name."""
    commands, target = [""], ""  # target: "" outside of a redirection, "wanted" before its file, "begun" within
    for kind, part in _marked(line, shell):
        if kind == "redirection":
            target = "" if re.search(r"&\d$", part) else "wanted"
        elif kind == "control":
            commands, target = [*commands, ""], ""
        elif kind == "blank" and target != "wanted":
            commands[-1], target = f"{commands[-1]}{part}", ""
        elif target:
            target = "wanted" if kind == "blank" else "begun"
        else:
            commands[-1] += part
    return [stripped for command in commands if (stripped := command.strip())]


def _marked(line: str, shell: Shell) -> Iterator[tuple[str, str]]:
    """The line in pieces: "redirection", "control", "blank", and "word" for all others."""
    mark = re.compile(rf"(?P<redirection>{_REDIRECTION})|(?P<control>{_CONTROL[shell]})|(?P<blank>\s+)|(?P<word>.)")
    for kind, part in quoted_parts(line, shell):
        if kind != "plain":
            yield "word", part
        else:
            for match in mark.finditer(part):
                yield str(match.lastgroup), match[0]
