"""Ctrl+Break for a run on Windows: `python -m backend.runs.console PID` sends it to the process group of that pid.

Windows has no SIGTERM. Its gentlest request is CTRL_BREAK, which reaches the processes of the sender's own console
only, and a run without a window has a console of its own. So a short-lived process leaves its console, joins that of
the run, and sends the request from there.
Source: https://learn.microsoft.com/windows/console/generateconsolectrlevent
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

CTRL_BREAK_EVENT = 1

TIMEOUT_S = 10


def ask_to_break(pid: int) -> bool:
    """Have a process of its own send CTRL_BREAK to the process group of `pid`; says whether it could."""
    command = [sys.executable, "-m", __name__, str(pid)]
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        return subprocess.run(command, creationflags=flags, timeout=TIMEOUT_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def send_break(pid: int, kernel32: Any) -> bool:
    """Send CTRL_BREAK from this process; it loses its own console over it. kernel32: Windows' library of that name."""
    kernel32.FreeConsole()
    if not kernel32.AttachConsole(pid):
        return False
    try:
        return bool(kernel32.GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, pid))
    finally:
        kernel32.FreeConsole()


def main(arguments: list[str]) -> int:
    """Send the request; returns 0 if it was sent."""
    import ctypes

    return 0 if send_break(int(arguments[0]), ctypes.windll.kernel32) else 1  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
