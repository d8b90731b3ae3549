"""A trainer's process, forked from one that has its libraries loaded: a training of a few steps takes no seconds."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

from backend.commands.train import run_as_trainer
from backend.runs.folder import RunFolder
from backend.runs.watch import record_end

LIBRARIES = ("backend.commands.assembly", "torch._dynamo", __name__)
"""What a trainer imports, sooner or later. They are loaded once in each test process that trains."""

_processes = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":  # elsewhere forks are not safe once libraries of the system have been used
    _processes.set_forkserver_preload(list(LIBRARIES))


def run_trainer(run: RunFolder) -> int:
    """Train a submitted run in a process of its own, as accelerate's launcher starts it.

    Returns the exit code, and records it as who watches a run does.
    """
    trainer = _processes.Process(target=_train, args=(run.config_file, run.log_file))
    trainer.start()
    trainer.join()
    record_end(run, code=trainer.exitcode, how="")
    return trainer.exitcode


def _train(config_file: Path, log_file: Path) -> None:
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    sys.exit(run_as_trainer(["--config_file", str(config_file)]))
