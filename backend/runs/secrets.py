"""Secrets of the user: from the environment, or from secrets.toml in the workspace, which nobody else may read."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import MutableMapping
from pathlib import Path

from backend.config.reference_options import ENVIRONMENT_VARIABLES
from backend.config.toml_file import read_toml
from backend.errors import OptionError

SECRETS_FILE = "secrets.toml"


def load_secrets(workspace: Path, environment: MutableMapping[str, str] = os.environ) -> None:
    """Put the secrets of the workspace's file into the environment, where the libraries that need them look.

    What the environment has already wins. Raises OptionError, which never tells a secret, for a file that others may
    read and for anything in it but the known keys with texts.
    """
    path = workspace / SECRETS_FILE
    if not path.exists():
        return
    _refuse_open_file(path)
    for name, value in read_toml(path).items():
        if name not in ENVIRONMENT_VARIABLES or not isinstance(value, str):
            known = ", ".join(ENVIRONMENT_VARIABLES)
            raise OptionError(f"{path}: {name} is no secret that is known", hint=f"wanted texts called {known}")
        environment.setdefault(ENVIRONMENT_VARIABLES[name], value)


def _refuse_open_file(path: Path) -> None:
    """On Windows the rights of a folder hold for its files, and a user's own folders are closed to others."""
    if sys.platform == "win32":
        return
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise OptionError(f"{path}: can be read by other users", hint=f"run: chmod 600 {path.name}")
