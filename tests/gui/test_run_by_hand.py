"""The command that the page shows is the run that Start makes: both are run, and every number is the same."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from backend.config.configuration import Configuration
from backend.networks.files import load_lora
from backend.runs.folder import RunFolder, RunState, list_runs
from backend.runs.queue import run_job
from backend.runs.submission import submit_with_caching
from gui.shell_view import format_commands
from gui.texts import texts_of
from tests.commands.tiny_project import TRANSFORMER, make_project


def losses(run: RunFolder) -> list[tuple[float, ...]]:
    rows = [json.loads(line) for line in run.metrics_file.read_text(encoding="utf-8").splitlines()]
    return [(row["step"], row["loss"], row["gradient_norm"], *row["learning_rates"].values()) for row in rows]


@pytest.mark.skipif(sys.platform == "win32", reason="the line is run by bash")
def test_the_line_that_the_page_shows_trains_what_start_trains(tmp_path):
    project = make_project(tmp_path / 'a "projéct" & [1]')
    configuration = Configuration.from_values(
        {
            "dit": str(TRANSFORMER),
            "dataset_config": str(project.dataset_file),
            "mixed_precision": "no",
            "network_dim": 2,
            "loraplus_lr_ratio": 4.0,
            "exclude_patterns": [r".*single_blocks\.(0|1)\..*", "a=b c"],
            "optimizer_args": ["weight_decay=0.1"],
            "lr_scheduler": "cosine",
            "max_train_steps": 3,
            "num_cpu_threads_per_process": 1,
            "seed": 7,
            "output_name": "by hand & 日本語",
        }
    )
    [started] = submit_with_caching(configuration, workspace=project.workspace)
    assert run_job(started) == 0

    shown = format_commands(configuration, workspace=project.workspace, shell="bash", texts=texts_of("en"))
    line = shown.partition("\n\n")[0].partition("\n")[2]
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    by_hand = list_runs(project.workspace)[0]
    assert by_hand != started and by_hand.state() is RunState.FINISHED
    assert losses(by_hand) == losses(started)
    weights = [load_lora(run.checkpoints / "by hand & 日本語.safetensors")[0] for run in (started, by_hand)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
