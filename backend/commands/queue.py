"""Run the queued jobs of a workspace: `python -m backend queue --workspace workspace`."""

from __future__ import annotations

import argparse
from pathlib import Path

from backend.runs.output import outlive_full_disk
from backend.runs.queue import work
from backend.runs.workspace import DEFAULT_WORKSPACE


def main(arguments: list[str]) -> int:
    """Run jobs until none is queued; leave at once if another worker is at it."""
    parser = argparse.ArgumentParser(prog="python -m backend queue", description=__doc__)
    parser.add_argument("--workspace", type=Path, default=DEFAULT_WORKSPACE, help="folder of the runs")
    outlive_full_disk()
    work(parser.parse_args(arguments).workspace)
    return 0
