"""The paths that a command cannot do without."""

from __future__ import annotations

from pathlib import Path

from backend.config.configuration import Configuration, all_options
from backend.errors import OptionError
from backend.plan.encoder_files import encoder_problems


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


def check_encoders(configuration: Configuration, *names: str) -> None:
    """Raise OptionError if one of these models is not given, not there, or seems to be another; it reads headers."""
    for name in names:
        required_path(getattr(configuration.model, name), name)
    if problems := encoder_problems(configuration.model, severity="error", names=names):
        raise OptionError.of(problems)
