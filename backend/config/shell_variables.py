"""The variables of a pasted shell text: what it sets, and what it uses."""

from __future__ import annotations

import re

from backend.config.shell_text import quoted_parts
from backend.config.shells import Shell

_USE = {
    "bash": re.compile(r"\$\w+|\$\{[^}]*\}|\$\([^)]*\)|`[^`]*`"),
    "powershell": re.compile(r"(?i)\$(?:env:)?\w+|\$\{[^}]*\}|\$\([^)]*\)"),
    "cmd": re.compile(r"%\w+%|%~\w*\d"),
}
"""A variable, or a command whose output is to stand there, which counts as an unknown one."""

_ESCAPE = {"bash": "\\", "powershell": "`"}
_SPECIAL = {
    ("bash", "plain"): r"[^\w./:-]",
    ("bash", "filled"): r"[\"$`\\]",
    ("powershell", "plain"): r"[^\w./:\\-]",
    ("powershell", "filled"): r"[\"$`]",
}
"""What a value has that its shell would act on."""


class ShellVariables:
    """Those that have a value so far.

    unknown: variables, as they are written, that were used without one.
    """

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.unknown: set[str] = set()
        self._values: dict[str, str] = {}
        self._exported: set[str] = set()
        self._used: set[str] = set()

    def set(self, name: str, value: str, *, is_exported: bool) -> None:
        """is_exported: whether the programs that are started get it too."""
        self._values[self._key(name)] = value
        if is_exported:
            self._exported.add(self._key(name))

    def unused(self) -> dict[str, str]:
        """Those that are for the programs alone."""
        return {name: value for name, value in self._values.items() if name in self._exported - self._used}

    def fill(self, command: str) -> str:
        """The command with each variable replaced by its value, quoted for its place; unknown ones stay."""
        return "".join(
            part
            if kind == "literal"
            else _USE[self.shell].sub(lambda match, kind=kind: self._value(match[0], kind), part)
            for kind, part in quoted_parts(command, self.shell)
        )

    def _value(self, written: str, kind: str) -> str:
        key = self._key(re.sub(r"(?i)^\$\{?(env:)?|[%}]", "", written))
        if key not in self._values:
            self.unknown.add(written)
            return written
        self._used.add(key)
        if self.shell == "cmd":
            return self._values[key]
        return re.sub(_SPECIAL[self.shell, kind], lambda match: _ESCAPE[self.shell] + match[0], self._values[key])

    def _key(self, name: str) -> str:
        return name if self.shell == "bash" else name.upper()
