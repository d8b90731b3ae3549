"""Trainings that fail for reasons that users meet, and what the run says of it."""

import json
import socket
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.commands.train import train
from backend.config.configuration import Configuration
from backend.errors import UserError
from backend.runs.failures import find_failure
from backend.runs.folder import RunState
from backend.runs.process import PROJECT
from backend.runs.queue import run_job
from backend.runs.states import last_state
from backend.runs.training_job import submit_training
from backend.runs.watch import record_end
from tests.commands.tiny_project import TRANSFORMER, make_project, processes_of


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project"))


def submitted(project, **options):
    """A training that is submitted, with the golden transformer unless another is given."""
    values = {"dit": str(TRANSFORMER), "dataset_config": str(project.dataset_file), "mixed_precision": "no"}
    return submit_training(
        Configuration.from_values({**values, "max_train_steps": 3, **options}), workspace=project.workspace
    )


def failure_of(run):
    with pytest.raises(UserError):
        train(run)  # in this process, which saves the seconds that a launcher takes
    record_end(run, code=1, how="")
    assert run.state() is RunState.FAILED
    return find_failure(run)


def test_a_model_file_that_has_gone_is_missing(project, tmp_path):
    model = tmp_path / "model.safetensors"
    model.write_bytes(TRANSFORMER.read_bytes())
    run = submitted(project, dit=str(model))
    model.unlink()
    failure = failure_of(run)
    assert failure.id == "missing_file" and str(model) in failure.sentence


def test_a_model_file_that_was_cut_short_is_damaged(project, tmp_path):
    model = tmp_path / "model.safetensors"
    model.write_bytes(TRANSFORMER.read_bytes())
    run = submitted(project, dit=str(model))
    with model.open("r+b") as file:
        file.truncate(model.stat().st_size - 1000)
    failure = failure_of(run)
    assert failure.id == "damaged_file" and "cut short" in failure.sentence


def test_a_model_file_of_another_kind_is_the_wrong_one(project, tmp_path):
    model = tmp_path / "model.safetensors"
    model.write_bytes(TRANSFORMER.read_bytes())
    run = submitted(project, dit=str(model))
    save_file({"decoder.conv_in.weight": torch.zeros(3)}, model)
    failure = failure_of(run)
    assert failure.id == "wrong_model_file" and "VAE" in failure.sentence


def test_a_dataset_whose_caches_have_gone_is_empty(tmp_path):
    project = make_project(tmp_path, pictures=1)
    run = submitted(project)
    for path in (tmp_path / "cache").iterdir():
        path.unlink()
    failure = failure_of(run)
    assert failure.id == "empty_dataset"


def test_an_optimizer_whose_library_is_missing_is_replaced_in_the_form(project):
    run = submitted(project, optimizer_type="prodigyopt_of_nobody.Prodigy")
    failure = failure_of(run)
    assert (failure.id, failure.parameters["package"]) == ("missing_package", "prodigyopt_of_nobody")
    assert "pip install prodigyopt_of_nobody" in failure.advice


def spoil(path):
    """Make the latents of a cache no numbers."""
    tensors = load_file(path)
    save_file({name: torch.full_like(tensor, torch.nan) for name, tensor in tensors.items()}, path)


def rows_of(run):
    return [json.loads(line) for line in run.metrics_file.read_text().splitlines()]


def test_steps_without_a_number_change_nothing_and_end_the_training_after_some_in_a_row(tmp_path):
    project = make_project(tmp_path, pictures=2)
    for path in sorted((tmp_path / "cache").glob("p*_0064x0064_hv.safetensors")):
        spoil(path)
    done = project.train_forked("--max_train_steps", "50", "--stop_after_nan_steps", "3", "--output_name", "nan")
    assert done.returncode == 1, done.stdout + done.stderr
    run = project.newest_run()
    failure = find_failure(run)
    assert (failure.id, failure.parameters["count"], failure.parameters["step"]) == ("loss_not_finite", 3, 3)
    assert failure.changes == {"learning_rate": 2e-5}
    assert [row["step"] for row in rows_of(run)] == [1, 2, 3]
    state = last_state(run)
    assert state.step == 3
    weights = load_file(state.path / "model.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert not any(tensor.any() for name, tensor in weights.items() if "lora_up" in name)  # as before the first step


def test_a_training_goes_on_after_a_step_without_a_number(tmp_path):
    project = make_project(tmp_path, pictures=3)
    spoil(tmp_path / "cache" / "p1_0064x0064_hv.safetensors")
    done = project.train_forked("--max_train_steps", "6", "--stop_after_nan_steps", "2", "--output_name", "one")
    assert done.returncode == 0, done.stdout + done.stderr
    run = project.newest_run()
    losses = [row["loss"] for row in rows_of(run)]
    assert sum(loss != loss for loss in losses) == 2  # once in each epoch
    assert run.status().average_loss > 0
    assert "has no number as loss or gradient; it changes nothing" in run.log_file.read_text()
    weights = load_file(run.checkpoints / "one.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_port_that_another_program_uses_is_named(project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        machines = {"num_processes": 2, "num_machines": 2, "main_process_ip": "127.0.0.1", "seed": 1}
        run = submitted(project, main_process_port=port, **machines)  # one machine takes a free port by itself
        run_job(run)
    failure = find_failure(run)
    assert (failure.id, failure.parameters, failure.changes) == (
        "port_taken", {"port": port}, {"main_process_port": None},
    )  # fmt: skip
    assert processes_of(project) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("ending", "code"), [("sys.exit(2)", 2), ("os.kill(os.getpid(), 9)", -9)])
def test_the_launcher_ends_as_the_trainer_did(tmp_path, ending, code):
    script = tmp_path / "trainer.py"
    script.write_text(f"import os, sys\n{ending}\n")
    flags = [
        "--num_processes",
        "1",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--cpu",
    ]
    command = [sys.executable, "-m", "backend.commands.launch", *flags, str(script)]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert ended.returncode == code, ended.stderr
    assert ("the trainer was ended by signal 9 (SIGKILL)" in ended.stderr) == (code == -9)
    assert "Traceback" not in ended.stderr
