"""The real page in a process of its own, as a user starts it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parents[2]


@contextmanager
def running_page(workspace: Path, *options: str) -> Iterator[str]:
    """Start app.py on a free port and yield its address; at the end it and all runs of the workspace are gone."""
    command = [sys.executable, "app.py", "--no-open", "--port", "0", "--workspace", str(workspace), *options]
    with (workspace / "app.log").open("w+", encoding="utf-8") as log:
        server = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            yield _read_address(server, workspace / "app.log")
        finally:
            server.terminate()
            server.wait()
            server.stdout.close()
            _end_runs(workspace)


def _read_address(server: subprocess.Popen[str], log: Path) -> str:
    for line in server.stdout:
        if match := re.search(r"https?://\S+", line):
            return match[0]
    raise RuntimeError(f"app.py ended with {server.wait()}:\n{log.read_text(encoding='utf-8')}")


def _end_runs(workspace: Path) -> None:
    """End queue workers and runs that a failed test left."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(workspace) in argument for argument in process.info["cmdline"] or ()):
            for member in [process, *process.children(recursive=True)]:
                member.kill()
