"""The command lines beside the form: what Start runs, and the same run by hand, for each shell."""

from __future__ import annotations

import sys
from pathlib import Path

from backend.config.command_line import format_arguments
from backend.config.configuration import Configuration
from backend.config.shells import Shell, command_lines
from backend.runs.training_job import launch_arguments
from gui.texts import Texts

PROJECT = Path(__file__).resolve().parents[1]

USUAL_SHELL: Shell = "powershell" if sys.platform == "win32" else "bash"
"""The shell of the machine that the page is served from."""


def format_commands(configuration: Configuration, *, workspace: Path, shell: Shell, texts: Texts) -> str:
    """The command that Start runs, and the one that does all of Start by hand, quoted for the shell."""
    config_file = workspace.absolute() / "runs" / f"<time>_{configuration.saving.output_name}" / "config.toml"
    started = [sys.executable, *launch_arguments(config_file, configuration)]
    by_hand = [sys.executable, "-m", "backend", "train", "--workspace", str(workspace.absolute())]
    by_hand += format_arguments(configuration.values())
    mark = "REM " if shell == "cmd" else ""
    parts = [
        mark + texts("plan.command.by_hand"),
        command_lines(shell, by_hand, folder=PROJECT),
        "",
        mark + texts("plan.command.started"),
        command_lines(shell, started),
    ]
    return "\n".join(parts) + "\n"
