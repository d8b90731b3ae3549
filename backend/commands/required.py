"""The path that a command cannot do without."""

from __future__ import annotations

from pathlib import Path

from backend.config.configuration import all_options
from backend.errors import OptionError


def required_path(value: str | None, option: str) -> Path:
    """The value as a path; raises OptionError if it is not set or nothing is there."""
    label = f"{all_options()[option].label} ({option})"
    if not value:
        raise OptionError(f"{label} is not given", hint=f"add --{option} PATH", option=option)
    if not Path(value).exists():
        raise OptionError(
            f"{label}: {value} does not exist", hint="check the path", option=option, cause="missing_file"
        )
    return Path(value)
