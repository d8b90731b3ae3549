"""Python programs in processes that are forked from one which has torch and its like loaded.

`python PROGRAM` spends 5 s of computing time on imports before a small model does its work of a tenth of a second. Use
it where the work is what a test looks at, and a real start where the start is.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).parents[1]

LIBRARIES = ("backend.commands.assembly", "backend.commands.samples", "torch._dynamo", __name__)
"""Loaded once in each test process that forks; a program sees them in `sys.modules`."""

_processes = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":  # elsewhere a fork is not safe once libraries of the system have been used
    _processes.set_forkserver_preload(list(LIBRARIES))


def run(*program: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What `python PROGRAM` gives in the project's folder. program: a file or -m and a module, and its arguments."""
    with TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        process = start(*program, output=output, errors=errors, environment=environment)
        process.join()
        texts = [path.read_text(encoding="utf-8") for path in (output, errors)]
    return subprocess.CompletedProcess(program, process.exitcode, *texts)


def start(
    *program: str | Path, output: Path, errors: Path | None = None, environment: Mapping[str, str] | None = None
) -> BaseProcess:
    """The program in the background; what it prints is added to the files, errors to `output` too if not given."""
    words = [str(word) for word in program]
    arguments = (words, output, errors or output, dict(environment or {}))
    process = _processes.Process(target=_run, args=arguments, daemon=True)  # ended with the tests
    process.start()
    return process


def _run(program: list[str], output: Path, errors: Path, environment: Mapping[str, str]) -> None:
    os.chdir(PROJECT)
    os.environ.update(environment)
    for stream, path in ((sys.stdout, output), (sys.stderr, errors)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, stream.fileno())
        stream.reconfigure(encoding="utf-8", line_buffering=True)
    if program[0] == "-m":
        sys.argv = program[1:]
        runpy.run_module(program[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = program
        runpy.run_path(program[0], run_name="__main__")
