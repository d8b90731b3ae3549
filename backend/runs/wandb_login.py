"""Whether wandb has what it needs to send data: a key, a token, or a login in the home folder. Never the key itself."""

from __future__ import annotations

import contextlib
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

LoginPlace = Literal["", "environment", "home"]

PUBLIC_SERVER = "https://api.wandb.ai"
KEYS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")


def find_login(environment: Mapping[str, str] = os.environ, *, home: Path | None = None) -> LoginPlace:
    """Where the login is: in the environment, in the home folder, or "" for none. home: the user's own if not given."""
    if any(map(environment.get, KEYS)):
        return "environment"
    host = urlsplit(environment.get("WANDB_BASE_URL", PUBLIC_SERVER)).hostname or ""
    return "home" if any(_has_host(path, host) for path in _netrc_files(environment, home or Path.home())) else ""


def is_offline(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment keeps wandb from sending anything."""
    return environment.get("WANDB_MODE", "online") != "online"


def _netrc_files(environment: Mapping[str, str], home: Path) -> list[Path]:
    """Where wandb keeps a login: the file that NETRC names, else .netrc or _netrc in the home folder."""
    if named := environment.get("NETRC"):
        return [Path(named).expanduser()]
    return [home / ".netrc", home / "_netrc"]


def _has_host(netrc_file: Path, host: str) -> bool:
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        return netrc.netrc(netrc_file).authenticators(host) is not None
    return False
