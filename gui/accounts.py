"""Whether the user is logged in at wandb and Hugging Face; where from is told, the key itself never."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from backend.config.reference_options import ENVIRONMENT_VARIABLES
from backend.config.toml_file import read_toml
from backend.errors import OptionError
from backend.runs.secrets import SECRETS_FILE
from backend.runs.wandb_login import find_login

Source = Literal["environment", "workspace", "login", ""]
"""Where a key was found: a variable, the workspace's secrets.toml, the service's own login, or nowhere."""


def logins(workspace: Path, environment: Mapping[str, str] = os.environ, home: Path | None = None) -> dict[str, Source]:
    """Where the keys of wandb and Hugging Face are found, in the order in which a run looks for them."""
    home = home or Path.home()
    return {
        "wandb": _source("wandb_api_key", workspace, environment, lambda: bool(find_login(environment, home=home))),
        "huggingface": _source("huggingface_token", workspace, environment, lambda: _hub_login(home, environment)),
    }


def _source(name: str, workspace: Path, environment: Mapping[str, str], is_logged_in: Callable[[], bool]) -> Source:
    if environment.get(ENVIRONMENT_VARIABLES[name]):
        return "environment"
    if _secrets(workspace).get(name):
        return "workspace"
    return "login" if is_logged_in() else ""


def _secrets(workspace: Path) -> Mapping[str, object]:
    try:
        return read_toml(workspace / SECRETS_FILE)
    except OptionError:  # none, or none that can be read
        return {}


def _hub_login(home: Path, environment: Mapping[str, str]) -> bool:
    """Where `hf auth login` puts its token (huggingface_hub's documentation, HF_HOME and HF_TOKEN_PATH)."""
    folder = Path(environment.get("HF_HOME") or home / ".cache" / "huggingface")
    path = Path(environment.get("HF_TOKEN_PATH") or folder / "token")
    try:
        return bool(path.read_text(encoding="utf-8").strip())
    except OSError:
        return False
