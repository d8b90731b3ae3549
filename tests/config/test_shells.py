"""Commands for bash, run by it, and for PowerShell and cmd, taken apart by their rules as they are documented."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backend.config.shells import LEGACY_PASSING, command_lines

TRICKY = [
    "plain",
    "--flag",
    "--learning_rate=2e-4",
    "",
    "with space",
    "C:\\models\\my dir\\",
    "C:\\no_space\\",
    'quote " inside',
    'a\\" b',
    "100%",
    "%PATH%",
    "a&b|c>d<e^f",
    "wow!",
    "(a|b)",
    "$HOME `id` $(id)",
    "exclude_patterns=[r'.*(?=\\d)\\.\"x', '.*a=b .*']",
    "日本語 の パス",
    "l\u2019été \u2018x\u2019",
    "semi;colon, comma",
    "@file",
    "{braces}",
    "tab\there",
]


def windows_arguments(line: str) -> list[str]:
    """The rules of CommandLineToArgvW, after the program's name."""
    arguments, current, quoted, started, i = [], "", False, False, 0
    while i < len(line):
        slashes = len(line[i:]) - len(line[i:].lstrip("\\"))
        i += slashes
        if i < len(line) and line[i] == '"':
            current += "\\" * (slashes // 2)
            started = True
            if slashes % 2:
                current += '"'
            else:
                quoted = not quoted
            i += 1
        elif slashes:
            current, started = current + "\\" * slashes, True
        elif line[i] in " \t" and not quoted:
            if started:
                arguments.append(current)
            current, started, i = "", False, i + 1
        else:
            current, started, i = current + line[i], True, i + 1
    return [*arguments, current] if started else arguments


def cmd_line(text: str, variables: dict[str, str]) -> str:
    """What cmd hands to the program: %NAME% replaced where there is such a variable, then quotes and carets."""
    text = re.sub(r"%([^%]+)%", lambda match: variables.get(match[1].upper(), match[0]), text)
    line, quoted, i = "", False, 0
    while i < len(text):
        if text[i] == "^" and not quoted:
            i += 1
            line += text[i]
        elif text[i] == '"':
            quoted = not quoted
            line += '"'
        elif text[i] in "&|<>()" and not quoted:
            raise AssertionError(f"cmd acts on {text[i]!r} at {i}")
        else:
            line += text[i]
        i += 1
    assert not quoted
    return line


def powershell_line(text: str) -> str:
    """What PowerShell 5.1 hands to the program: single-quoted texts taken, and quotes put around what has spaces."""
    words, i = [], 0
    while i < len(text):
        if text[i] == " ":
            i += 1
        elif text[i] in "'\u2018\u2019\u201a\u201b":
            word, i = "", i + 1
            while not (text[i] in "'\u2018\u2019\u201a\u201b" and text[i : i + 2] != text[i] * 2):
                doubled = text[i] in "'\u2018\u2019\u201a\u201b"
                word, i = word + text[i], i + 1 + doubled
            words.append(word)
            i += 1
        else:
            end = text.find(" ", i) if " " in text[i:] else len(text)
            word = text[i:end]
            assert re.fullmatch(r"[\w./:\\=+]+[\w./:\\=+-]*", word), f"PowerShell acts on {word!r}"
            words.append(word)
            i = end
    return " ".join(f'"{word}"' if needs_quotes(word) else word for word in words)


def needs_quotes(word: str) -> bool:
    """PowerShell's own test: a blank outside of quotes; a quote after a backslash does not count."""
    quotes, after_backslash = 0, False
    for letter in word:
        if letter == '"' and not after_backslash:
            quotes += 1
        elif letter.isspace() and quotes % 2 == 0:
            return True
        after_backslash = letter == "\\"
    return False


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_gives_the_program_these_arguments(tmp_path):
    folder = tmp_path / "a folder's $HOME"
    folder.mkdir()
    show = "import json, os, sys; print(json.dumps([os.getcwd(), *sys.argv[1:]]))"
    line = command_lines("bash", [sys.executable, "-c", show, *TRICKY], folder=folder)
    out = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == [str(folder), *TRICKY]


def test_cmd_gives_the_program_these_arguments():
    variables = {"PATH": "C:\\Windows", "HOME": "x"}
    going, line = command_lines("cmd", ["python", *TRICKY], folder=Path("C:/my & dir")).splitlines()
    assert windows_arguments(cmd_line(line, variables)) == ["python", *TRICKY]
    assert windows_arguments(cmd_line(going, variables))[:2] == ["cd", "/d"]
    assert windows_arguments(cmd_line(going, variables))[2].endswith("my & dir")


def test_powershell_gives_the_program_these_arguments():
    going, legacy, line = command_lines("powershell", ["python", *TRICKY], folder=Path("it's")).splitlines()
    assert going == "Set-Location -LiteralPath 'it''s'"
    assert legacy == LEGACY_PASSING
    assert line.startswith("& ")
    assert windows_arguments(powershell_line(line[2:])) == ["python", *TRICKY]


def test_powershell_needs_no_other_passing_for_plain_arguments():
    assert (
        command_lines("powershell", ["python", "-m", "backend", "--seed", "5"]) == "& 'python' '-m' backend '--seed' 5"
    )
