"""What all tests have in common."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before torch is loaded, here and in what tests start: small matrices take longer on two threads, and on a machine
# whose cores are busy with another test process forty times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A machine under load is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

LONGEST_FIRST = ("docs", "browser", "commands", "benchmarks", "runs", "models", "gui")
"""Folders whose files take long: last, one of them would leave the other test processes without work."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest folders first; the files of a folder stay together and share what is made once for it."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: min(places.get(folder, len(places)) for folder in item.path.parents))
