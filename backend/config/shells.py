"""A command as a line for each shell, quoted so that the program gets exactly these arguments."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

Shell = Literal["bash", "powershell", "cmd"]

SHELLS: dict[Shell, str] = {"bash": "bash", "powershell": "PowerShell", "cmd": "cmd"}
"""The shells with the names that people know them by."""

LEGACY_PASSING = "$PSNativeCommandArgumentPassing = 'Legacy'"
"""PowerShell 7.3 and later then hand arguments on as 5.1 does; to 5.1 it is a variable without a meaning."""

_PLAIN = re.compile(r"[\w./:\\=+-]+", re.ASCII)
_POWERSHELL_QUOTES = re.compile("['\u2018\u2019\u201a\u201b]")  # it takes curly ones for straight ones
_CMD_SPECIAL = re.compile(r'[()%!^"<>&|]')


def command_lines(shell: Shell, arguments: Sequence[str], *, folder: Path | None = None) -> str:
    """What to paste at the shell's prompt. folder: where to go first."""
    if shell == "bash":
        going = f"cd {shlex.quote(str(folder))} &&\n" if folder else ""
        return going + shlex.join(arguments)
    if shell == "cmd":
        going = f"cd /d {_for_cmd(str(folder))}\n" if folder else ""
        return going + " ".join(_for_cmd(argument) for argument in arguments)
    going = f"Set-Location -LiteralPath {_powershell_text(str(folder))}\n" if folder else ""
    legacy = f"{LEGACY_PASSING}\n" if any(_as_windows_has_it(argument) != argument for argument in arguments) else ""
    program, *rest = arguments
    words = [_powershell_text(program), *(_for_powershell(argument) for argument in rest)]
    return f"{going}{legacy}& {' '.join(words)}"


def _as_windows_has_it(argument: str) -> str:
    """The argument as it stands in a Windows command line: in double quotes where it has spaces or is empty."""
    return subprocess.list2cmdline([argument])


def _for_powershell(argument: str) -> str:
    """Windows' own quotes inside PowerShell's: 5.1 adds none where the text brings them."""
    windows = _as_windows_has_it(argument)
    return windows if _PLAIN.fullmatch(windows) and not windows.startswith("-") else _powershell_text(windows)


def _powershell_text(text: str) -> str:
    """In single quotes nothing is replaced; those inside are written twice."""
    return "'" + _POWERSHELL_QUOTES.sub(lambda match: match[0] * 2, text) + "'"


def _for_cmd(argument: str) -> str:
    """Every sign that cmd acts on gets a caret, the quotes too, so that cmd never takes itself to be inside of them.

    At the prompt %NAME% stays as it is then, since there is no variable that is called `NAME^`.
    """
    return _CMD_SPECIAL.sub(lambda match: "^" + match[0], _as_windows_has_it(argument))
