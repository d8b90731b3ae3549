"""A zip to ask for help with: a run's configuration, status and end of the log, and versions; secrets taken out."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from backend.config.reference_options import ENVIRONMENT_VARIABLES
from backend.config.toml_file import read_toml
from backend.errors import OptionError
from backend.runs.folder import RunFolder
from backend.runs.secrets import SECRETS_FILE
from gui.settings import SETTINGS_FILE
from gui.versions import versions

RUN_FILES = ("config.toml", "dataset.toml", "job.json", "status.json", "exit.json", "stop.json", "train.log")
WORKSPACE_FILES = (SETTINGS_FILE, "draft.toml", "queue.log", "tensorboard.log")
TAIL_BYTES = 256 * 1024
REMOVED = "(removed)"

TOKENS = re.compile(r"\b(?:hf_[A-Za-z0-9]{20,}|wandb_v1_[A-Za-z0-9_]{20,}|[0-9a-f]{40})\b")
"""What tokens of Hugging Face and keys of wandb look like; a hash of 40 digits goes with them, which is no loss."""


def make_bundle(workspace: Path, run: RunFolder | None, environment: Mapping[str, str] = os.environ) -> bytes:
    """The zip. run: the one to ask about, None for none.

    Of each file at most the last TAIL_BYTES are taken. Secrets that are known, everything that looks like one, and the
    path and name of the user's home folder are replaced.
    """
    clean = Redaction(_secrets(workspace, environment), home=Path.home())
    parts = versions()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("versions.json", json.dumps(parts, indent=1))
        for path, name in _files(workspace, run):
            if path.is_file():
                bundle.writestr(name, clean(_tail(path)))
    return packed.getvalue()


class Redaction:
    """Takes out of a text what nobody else should see."""

    def __init__(self, secrets: Iterable[str], *, home: Path) -> None:
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)
        spellings = {str(home), home.as_posix(), str(home).replace("\\", "\\\\")}
        self._homes = sorted(spellings - {"/", ""}, key=len, reverse=True)
        self._user = home.name

    def __call__(self, text: str) -> str:
        """The text with secrets removed and ~ in place of the home folder."""
        for secret in self._secrets:
            text = text.replace(secret, REMOVED)
        text = TOKENS.sub(REMOVED, text)
        for home in self._homes:
            text = re.sub(rf"(?<![\w.~-]){re.escape(home)}(?![\w.-])", "~", text)
        return re.sub(rf"(?<=[/\\])(?:home|Users)([/\\]+){re.escape(self._user)}(?![\w.-])", r"home\1user", text)


def _secrets(workspace: Path, environment: Mapping[str, str]) -> list[str]:
    found = [environment.get(variable, "") for variable in ENVIRONMENT_VARIABLES.values()]
    with suppress(OptionError):  # there is none
        found += [value for value in read_toml(workspace / SECRETS_FILE).values() if isinstance(value, str)]
    return found


def _files(workspace: Path, run: RunFolder | None) -> Iterable[tuple[Path, str]]:
    for name in WORKSPACE_FILES:
        yield workspace / name, name
    for name in RUN_FILES if run else ():
        yield run.path / name, f"{run.name}/{name}"


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        start = max(0, path.stat().st_size - TAIL_BYTES)
        file.seek(start)
        return file.read().decode("utf-8", errors="replace")
