"""A project that trains in seconds: the golden transformer and a few cached pictures of random values."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import torch

from backend.caching.files import write_clip_cache, write_latent_cache, write_llm_cache
from backend.config.command_line import make_parser, read_arguments
from backend.config.schema import GROUPS
from backend.runs.folder import RunFolder, list_runs
from backend.runs.training_job import TRAINER_MODULE, submit_training
from backend.runs.watch import record_end
from tests import forked

PROJECT = Path(__file__).parents[2]
TRANSFORMER = PROJECT / "tests" / "golden" / "dit_model.safetensors"
TEXT_WIDTH, POOLED_WIDTH = 32, 24


@dataclass(frozen=True)
class TinyProject:
    """A dataset of which only the caches are there, and a workspace."""

    folder: Path

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def dataset_file(self) -> Path:
        return self.folder / "dataset.toml"

    def train(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`python -m backend train` to its end."""
        return subprocess.run(
            self._command(arguments), cwd=PROJECT, env={**os.environ, **environment}, capture_output=True, text=True
        )

    def train_forked(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The training that these arguments ask for, without command and launcher, which take most of its seconds.

        Its output is what stands in the log. Raises OptionError if it cannot be submitted.
        """
        trainer = self.start_forked(*arguments, **environment)
        trainer.join()
        run = self.newest_run()
        record_end(run, code=trainer.exitcode, how="")
        log = run.log_file.read_text(encoding="utf-8")
        return subprocess.CompletedProcess(arguments, trainer.exitcode, log, "")

    def start_forked(self, *arguments: str, **environment: str) -> BaseProcess:
        """The same in the background."""
        parser = make_parser("train", description="", groups=set(GROUPS) - {"caching"})
        configuration, _ = read_arguments(parser, self._options(arguments))
        run = submit_training(configuration, workspace=self.workspace, foreground=True)
        program = ("-m", TRAINER_MODULE, "--config_file", run.config_file)
        return forked.start(*program, output=run.log_file, environment=environment)

    def start_training(self, *arguments: str) -> subprocess.Popen[str]:
        """`python -m backend train` in the background."""
        return subprocess.Popen(
            self._command(arguments),
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def newest_run(self) -> RunFolder:
        return list_runs(self.workspace)[0]

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "backend", "train", "--workspace", str(self.workspace), *self._options(arguments)]

    def _options(self, arguments: tuple[str, ...]) -> list[str]:
        """Of one thread: for matrices so small a second costs more than it brings, most of all on a busy machine."""
        given = [] if "--dit" in arguments else ["--dit", str(TRANSFORMER)]
        given += ["--dataset_config", str(self.dataset_file), "--mixed_precision", "no", "--seed", "7"]
        return [*given, "--num_cpu_threads_per_process", "1", "--network_dim", "2", *arguments]


def make_project(folder: Path, *, pictures: int = 3) -> TinyProject:
    """Write the caches and the dataset file into a folder."""
    caches = folder / "cache"
    generator = torch.Generator().manual_seed(1)
    for index in range(pictures):
        latents = torch.randn(16, 1, 8, 8, generator=generator)
        write_latent_cache(caches / f"p{index}_0064x0064_hv.safetensors", latents, size=(64, 64))
        text, caption = caches / f"p{index}_hv_te.safetensors", f"picture {index}"
        states, mask = torch.randn(256, TEXT_WIDTH, generator=generator), torch.zeros(256, dtype=torch.int64)
        mask[: 5 + index] = 1
        write_llm_cache(text, states, mask=mask, caption=caption)
        pooled = torch.randn(POOLED_WIDTH, generator=generator)
        write_clip_cache(text, pooled, mask=torch.ones(77, dtype=torch.int64), caption=caption)
    project = TinyProject(folder)
    project.dataset_file.write_text(
        f"[general]\nresolution = 64\n\n[[datasets]]\nimage_directory = '{folder}'\ncache_directory = '{caches}'\n",
        encoding="utf-8",
    )
    return project


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl+C for the command alone; what it started is in sessions of its own."""
    process.send_signal(signal.SIGINT)


def wait_for_step(project: TinyProject, step: int, *, output_name: str) -> RunFolder:
    """Wait until the run of that name has reached a step."""
    while True:
        for run in list_runs(project.workspace):
            status = run.status()
            if run.job().name == output_name and status is not None:
                if status.outcome:
                    raise AssertionError(f"the run ended before step {step}: {status}")
                if status.step >= step:
                    return run
        time.sleep(0.1)


def processes_of(project: TinyProject) -> list[psutil.Process]:
    """Processes that were started with this project's paths."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(project.folder) in argument for argument in process.info["cmdline"] or ())
    ]
