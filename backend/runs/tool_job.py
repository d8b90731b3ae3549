"""Commands that are neither training nor caching, such as converting a LoRA, as jobs of the queue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backend.runs.folder import Job, RunFolder, create_run_folder, submit

TOOLS = ("generate", "lora")

LORA_COMMANDS = ("convert", "resize", "merge", "extract")
"""What `python -m backend lora` can be asked for that writes a file."""


def submit_tool(
    tool: str,
    arguments: Sequence[str],
    *,
    workspace: Path,
    title: str,
    needs: Sequence[RunFolder] = (),
    held: bool = False,
) -> RunFolder:
    """Put `python -m backend TOOL ARGUMENTS` into the queue.

    tool: one of TOOLS; it is the kind of the run. arguments: with absolute paths, as the job runs in the program's own
    folder. needs: runs that must finish first.
    """
    if tool not in TOOLS:
        raise ValueError(f"{tool!r} is no tool; known are {', '.join(TOOLS)}")
    run = create_run_folder(workspace, title)
    words = ("-m", "backend", tool, *arguments)
    submit(run, Job(tool, title, words, needs=tuple(needed.name for needed in needs)), held=held)
    return run
