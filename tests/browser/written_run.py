"""A run folder as a trainer writes it, written by a test."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from backend.config.configuration import Configuration
from backend.config.toml_file import write_configuration
from backend.runs.folder import Job, RunFolder, submit
from backend.runs.process import ProcessMark
from backend.runs.status import Reporter, write_json

LIVES_UNTIL_STOPPED = """
import pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.05)
"""


class WrittenRun:
    """A run of this workspace with a living process, which leaves when it is asked to stop."""

    def __init__(self, workspace: Path, *, name: str = "motion_test", kind: str = "train", **options: Any) -> None:
        """options: settings of a training, beside its name."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        self.folder = RunFolder(workspace / "runs" / f"{stamp}_{name}")
        self.folder.path.mkdir(parents=True)
        if kind == "train":
            given = Configuration.from_values({"output_name": name, **options})
            write_configuration(self.folder.given_file, given)
            write_configuration(self.folder.config_file, given.changed(output_dir=str(self.folder.checkpoints)))
        submit(self.folder, Job(kind=kind, name=name, arguments=("-c", "pass")))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, leaves_when_asked: bool = True, **status: object) -> None:
        """Begin with a process that lives, and a status."""
        stop = self.folder.path / "requests" / ("stop" if leaves_when_asked else "nothing")
        self._process = subprocess.Popen([sys.executable, "-c", LIVES_UNTIL_STOPPED, str(stop)])
        self._reporter = Reporter(self.folder.path)
        self._reporter.INTERVAL_S = -1.0  # written at once
        self.report(**{"phase": "loading", "process": ProcessMark.of(self._process.pid).record(), **status})

    def report(self, **status: object) -> None:
        """Change the status."""
        self._reporter.update(**status)

    def train(self, steps: range, *, total: int, epochs: int = 16) -> None:
        """Report these steps of a training whose loss falls."""
        for step in steps:
            epoch = 1 + (step - 1) * epochs // total
            self._reporter.add_metrics(
                step=step,
                epoch=epoch,
                loss=loss_at(step),
                average_loss=average_loss_at(step),
                learning_rates={"unet": 2e-4, "unet plus": 8e-4},
                gradient_norm=1.0 + 0.5 * math.sin(step),
                seconds=2.14,
            )
        last = steps[-1]
        self.report(
            phase="training",
            step=last,
            total_steps=total,
            epoch=epoch,
            total_epochs=epochs,
            loss=loss_at(last),
            average_loss=average_loss_at(last),
            seconds_per_step=2.14,
            time_left_s=2.14 * (total - last),
        )

    def log(self, text: str) -> None:
        """Append to train.log as it is."""
        with self.folder.log_file.open("ab") as file:
            file.write(text.encode())

    def end(
        self, outcome: str = "", *, code: int | None = 0, how: str = "", message: str = "", left: tuple[int, ...] = ()
    ) -> None:
        """End the run, as the trainer (outcome, message) and the queue worker (code, how, left) record it."""
        if outcome:
            self.report(outcome=outcome, message=message)
        self.kill()
        survivors = {"left": list(left)} if left else {}
        write_json(self.folder.exit_file, {"code": code, "how": how, "at": time.time(), **survivors})

    def wait(self) -> None:
        """Wait until the process has left."""
        self._process.wait()

    def kill(self) -> None:
        """End the process, if there is one, without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def average_loss_at(step: int) -> float:
    return 0.1 + 0.4 * math.exp(-step / 200)


def loss_at(step: int) -> float:
    """The loss of a step: falling, with a wobble."""
    return average_loss_at(step) + 0.05 * math.sin(step * 1.7)
