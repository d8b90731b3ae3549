"""Stopping a run while it is busy with something that takes long: nothing of it is left, whatever it was."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from backend.config.configuration import Configuration
from backend.networks.files import load_lora
from backend.plan.resume import read_state_record
from backend.runs.caching_job import submit_caching
from backend.runs.folder import RunState
from backend.runs.queue import run_job
from backend.runs.states import last_state
from backend.runs.training_job import submit_training
from backend.runs.watch import DEFAULT_PATIENCE, Patience
from tests.commands.tiny_project import TRANSFORMER, make_project
from tests.runs.jobs import processes_of, wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="named pipes of POSIX")

SHORT = Patience(stop_s=2, early_s=0.5, terminate_s=20, leftovers_s=2)


@pytest.fixture
def project(tmp_path):
    project = make_project(tmp_path)
    yield project
    left = processes_of(tmp_path)
    for process in left:
        process.kill()
    assert left == []


def replace_by_pipe(path):
    """Put a pipe in the place of a file: whoever reads it waits for ever, as for a disk that does not answer."""
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    pipe.replace(path)


def stopped(run, *, once, patience=SHORT):
    """Start the run, ask it to stop once that is so, and wait until it is over; returns how it was ended."""
    thread = threading.Thread(target=run_job, args=[run], kwargs={"patience": patience})
    thread.start()
    wait_until(lambda: (status := run.status()) is not None and once(status))
    run.request("stop")
    thread.join()
    assert run.state() is RunState.STOPPED, run.log_file.read_text()
    assert run.stop_record()["stage"] == "gone" and "left" not in run.exit_record()
    assert processes_of(run.path) == []
    return run.exit_record()["how"]


def submitted(project, model, **options):
    values = {"dit": str(model), "dataset_config": str(project.dataset_file), "mixed_precision": "no"}
    configuration = Configuration.from_values({**values, "max_train_steps": 100000, "network_dim": 2, **options})
    return submit_training(configuration, workspace=project.workspace)


def test_a_run_stops_while_it_loads_its_model(project, tmp_path):
    model = tmp_path / "model.safetensors"
    model.write_bytes(TRANSFORMER.read_bytes())
    run = submitted(project, model)
    replace_by_pipe(model)
    assert stopped(run, once=lambda status: status.phase == "loading" and status.total_steps) in ("", "terminated")


def test_a_run_stops_while_the_first_batch_is_read(project, tmp_path):
    run = submitted(project, TRANSFORMER)
    thread = threading.Thread(target=stopped, args=[run], kwargs={"once": lambda status: status.phase == "training"})
    thread.start()
    wait_until(lambda: run.status() is not None and run.status().total_steps)  # the caches were found whole
    for path in (tmp_path / "cache").glob("p*_0064x0064_hv.safetensors"):
        replace_by_pipe(path)
    thread.join()
    assert run.state() is RunState.STOPPED and run.exit_record()["how"] == "terminated"
    assert run.status().step == 0


def test_caching_stops_while_a_picture_is_read(project, tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a picture")
    values = {"dataset_config": str(project.dataset_file), "vae": str(TRANSFORMER)}
    encoders = {"text_encoder1": str(tmp_path), "text_encoder2": str(tmp_path)}
    run, following = submit_caching(Configuration.from_values({**values, **encoders}), workspace=project.workspace)
    assert stopped(run, once=lambda status: status.phase == "caching") == "terminated"
    assert following.state() is RunState.QUEUED


def test_a_run_that_is_stopped_while_it_saves_ends_with_whole_files_of_its_last_step(project):
    run = submitted(project, TRANSFORMER, save_every_n_steps=1, save_state=True, output_name="x")
    assert stopped(run, once=lambda status: status.phase == "saving", patience=DEFAULT_PATIENCE) == ""
    assert last_state(run).step == run.status().step > 0
    for path in run.checkpoints.iterdir():
        assert not path.name.startswith("."), path
        read_state_record(path) if path.is_dir() else load_lora(path)
