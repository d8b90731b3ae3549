"""Run the queued jobs of a workspace: `python -m backend queue --workspace workspace`."""

from __future__ import annotations

from pathlib import Path

from backend.config.command_line import Parser
from backend.runs.queue import work
from backend.runs.workspace import DEFAULT_WORKSPACE


def main(arguments: list[str]) -> int:
    """Run jobs until none is queued; leave at once if another worker is at it."""
    parser = Parser(prog="python -m backend queue", description=__doc__, allow_abbrev=False)
    parser.add_argument("--workspace", type=Path, default=DEFAULT_WORKSPACE, help="folder of the runs")
    work(parser.parse_args(arguments).workspace)
    return 0
