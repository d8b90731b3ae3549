"""The user's settings of a workspace, in its settings.toml: model files by role, folders, what may be looked into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tomlkit

from backend.atomic_file import write_text
from backend.config.toml_file import read_toml
from backend.errors import OptionError, Problem

SETTINGS_FILE = "settings.toml"

PREFILLED = ("dit", "vae", "text_encoder1", "text_encoder2", "output_dir", "logging_dir")
"""Options that a form gets from the settings where it would be empty."""


@dataclass(frozen=True)
class Settings:
    """prefilled: options of PREFILLED with a path each. allowed_roots: absolute folders that the page may look into, ()
    for those that are allowed without a choice."""

    prefilled: Mapping[str, str] = field(default_factory=dict)
    allowed_roots: tuple[str, ...] = ()

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """What a form or a file says; empty texts count as not given. Raises OptionError with every mistake."""
        prefilled = values.get("prefilled", {})
        roots = values.get("allowed_roots", [])
        if not isinstance(prefilled, Mapping) or not isinstance(roots, list):
            raise OptionError("the settings are not laid out as settings.toml is", hint="delete it to begin anew")
        problems = [Problem(f"there is no setting {name}") for name in {*prefilled} - {*PREFILLED}]
        problems += [
            Problem(f"{name}: a path is wanted", option=name) for name, path in prefilled.items() if not _is_text(path)
        ]
        problems += [problem for root in roots if (problem := _root_problem(root))]
        if problems:
            raise OptionError.of(problems)
        given = {name: prefilled[name].strip() for name in PREFILLED if prefilled.get(name, "").strip()}
        return cls(given, tuple(dict.fromkeys(root.strip() for root in roots if root.strip())))


def read_settings(workspace: Path) -> Settings:
    """The settings of a workspace; all empty if there are none. Raises OptionError for a file that is none."""
    path = workspace / SETTINGS_FILE
    return Settings.from_values(read_toml(path)) if path.is_file() else Settings()


def write_settings(workspace: Path, settings: Settings) -> None:
    """Keep the settings. Raises OptionError for folders that are not there, OSError if the disk refuses.

    A folder may be gone later, such as that of a drive that is not mounted.
    """
    if gone := [root for root in settings.allowed_roots if not Path(root).is_dir()]:
        raise OptionError.of(Problem(f"{root}: no such folder", option="allowed_roots") for root in gone)
    write_text(
        workspace / SETTINGS_FILE, tomlkit.dumps({**asdict(settings), "allowed_roots": [*settings.allowed_roots]})
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\n" not in value


def _root_problem(root: object) -> Problem | None:
    if not _is_text(root):
        return Problem("allowed_roots: a list of folders is wanted", option="allowed_roots")
    text = str(root).strip()
    if not text:
        return None
    if not Path(text).is_absolute():
        return Problem(
            f"{text}: is no absolute path", hint="write it from the drive or the root on", option="allowed_roots"
        )
    return None
