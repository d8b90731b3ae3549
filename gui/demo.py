"""What the page knows of the demo: whether the form needs its files while they are not made yet."""

from __future__ import annotations

from pathlib import Path

from backend.config.configuration import Configuration
from backend.runs.demo_folder import DemoFolder

DEMO_PRESET = "demo"


def demo_is_missing(configuration: Configuration, *, workspace: Path) -> bool:
    """Whether the configuration names files of the demo, which is not made yet."""
    demo = DemoFolder.of(workspace)
    paths = (configuration.model.dit, configuration.dataset.dataset_config)
    names_demo = any(path is not None and demo.path in Path(path).absolute().parents for path in paths)
    return names_demo and not demo.is_whole()
