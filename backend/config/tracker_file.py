"""The settings of trackers: the TOML file of log_tracker_config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.config.toml_file import read_toml
from backend.errors import OptionError

TRACKERS = ("tensorboard", "wandb")

TrackerSettings = dict[str, dict[str, Any]]
"""Arguments that each tracker is made with, by its name."""


def tracker_settings(
    config_file: Path | None, *, wandb_run_name: str | None, wandb_tags: Sequence[str] = (), wandb_offline: bool = False
) -> TrackerSettings:
    """The settings in a TOML file, a table for each tracker, with what else is given for wandb unless the file has it.

    Raises OptionError for a file that is missing or no TOML, and for a table of no tracker.
    """
    wandb = {"name": wandb_run_name, "tags": list(wandb_tags), "mode": "offline" if wandb_offline else None}
    given = {name: value for name, value in wandb.items() if value}
    settings: TrackerSettings = {"wandb": given} if given else {}
    for tracker, values in (read_toml(config_file) if config_file else {}).items():
        if tracker not in TRACKERS or not isinstance(values, dict):
            raise OptionError(
                f"{config_file}: [{tracker}] is not the table of a tracker",
                hint=f"wanted tables called {' or '.join(TRACKERS)}",
                option="log_tracker_config",
            )
        settings[tracker] = {**settings.get(tracker, {}), **values}
    return settings
