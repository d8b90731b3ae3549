"""Whether wandb has what it needs to send data: a key, a token, or a login in the home folder. Never the key itself."""

from __future__ import annotations

import contextlib
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

LoginPlace = Literal["", "environment", "home"]

KEYS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")


def find_login(environment: Mapping[str, str] = os.environ) -> LoginPlace:
    """Where the login is: in the environment, in the home folder, or "" for none."""
    if any(map(environment.get, KEYS)):
        return "environment"
    return "home" if any(_names_wandb(path) for path in _netrc_files(environment)) else ""


def is_offline(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment keeps wandb from sending anything."""
    return environment.get("WANDB_MODE", "online") != "online"


def _netrc_files(environment: Mapping[str, str]) -> list[Path]:
    """Where wandb keeps a login: the file that NETRC names, else .netrc or _netrc in the home folder."""
    if named := environment.get("NETRC"):
        return [Path(named).expanduser()]
    return [Path.home() / ".netrc", Path.home() / "_netrc"]


def _names_wandb(netrc_file: Path) -> bool:
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        return any("wandb" in host for host in netrc.netrc(netrc_file).hosts)
    return False
