"""The settings of trackers: the TOML file of log_tracker_config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.config.toml_file import read_toml
from backend.errors import OptionError

TRACKERS = ("tensorboard", "wandb")

TrackerSettings = dict[str, dict[str, Any]]
"""Arguments that each tracker is made with, by its name."""


def tracker_settings(config_file: Path | None, *, wandb_run_name: str | None) -> TrackerSettings:
    """The settings in a TOML file, a table for each tracker, and the name of the run in wandb unless the file has one.

    Raises OptionError for a file that is missing or no TOML, and for a table of no tracker.
    """
    settings: TrackerSettings = {"wandb": {"name": wandb_run_name}} if wandb_run_name else {}
    for tracker, values in (read_toml(config_file) if config_file else {}).items():
        if tracker not in TRACKERS or not isinstance(values, dict):
            raise OptionError(
                f"{config_file}: [{tracker}] is not the table of a tracker",
                hint=f"wanted tables called {' or '.join(TRACKERS)}",
                option="log_tracker_config",
            )
        settings[tracker] = {**settings.get(tracker, {}), **values}
    return settings
