"""A full disk, a real one that is small: what runs goes on or ends cleanly, says so, and leaves no half files."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from accelerate import Accelerator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from backend.config.configuration import Configuration
from backend.networks.files import load_lora
from backend.plan.resume import read_state_record
from backend.runs.failures import find_failure
from backend.runs.folder import RunState
from backend.runs.queue import run_job, work
from backend.runs.states import list_states
from backend.runs.training_job import submit_training
from backend.runs.watch import Patience
from backend.training.trackers import Trackers
from tests.commands.tiny_project import TRANSFORMER, make_project
from tests.runs.jobs import make_run, processes_of, wait_until

SHORT = Patience(linger_s=0.2)

LOGS_AND_TELLS = """
import time
from pathlib import Path
from backend.runs.output import outlive_full_disk
from backend.runs.status import Reporter
outlive_full_disk()
reporter = Reporter.from_environment()
reporter.update(phase="training", total_steps=100)
step = 0
while not Path({go!r}).exists():
    step += 1
    print("step", step, "x" * 500)
    reporter.add_metrics(step=step)
    reporter.update(step=step)
    time.sleep(0.002)
print("the end")
reporter.update(phase="done", outcome="finished")
"""


@pytest.fixture
def disk(tmp_path):
    """A folder on a file system of 3 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "loom", folder]).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk):
    """Write a file until nothing more fits."""
    with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def in_background(target, *arguments, **keywords):
    thread = threading.Thread(target=target, args=arguments, kwargs=keywords)
    thread.start()
    return thread


def half_written(folder):
    """Temporary files, which nothing should leave behind; the reserve of a run is none."""
    return [path for path in folder.rglob(".*") if path.name != ".reserve"]


def test_a_run_on_a_full_disk_goes_on_tells_it_and_is_whole_again_when_there_is_room(disk, tmp_path):
    go = tmp_path / "go"
    run = make_run(disk, LOGS_AND_TELLS.format(go=str(go)))
    thread = in_background(run_job, run, patience=SHORT)
    wait_until(lambda: run.state() is RunState.RUNNING)
    fill(disk)
    wait_until(lambda: run.status().troubles)
    assert run.status().troubles[0]["id"] == "disk_full"
    step = run.status().step
    wait_until(lambda: run.status().step > step)  # told in the room that was kept back
    assert all(json.loads(line)["step"] for line in run.metrics_file.read_text().splitlines())
    assert run.state() is RunState.RUNNING
    (disk / "filler").unlink()
    before = run.metrics_file.stat().st_size
    wait_until(lambda: run.metrics_file.stat().st_size > before)
    go.touch()
    thread.join()
    assert run.state() is RunState.FINISHED and run.exit_record()["code"] == 0
    assert all(json.loads(line)["step"] for line in run.metrics_file.read_text().splitlines())
    log = run.log_file.read_text()
    assert "characters are missing here: the disk was full" in log and log.endswith("the end\n")
    assert half_written(disk) == [] and not (run.path / ".reserve").exists()


def test_a_run_that_ends_on_a_full_disk_has_ended_as_it_did_and_the_queue_goes_on(disk, tmp_path):
    go = tmp_path / "go"
    run = make_run(disk, LOGS_AND_TELLS.format(go=str(go)))
    following = make_run(disk, "print('here')")
    thread = in_background(work, disk, patience=SHORT)
    wait_until(lambda: run.state() is RunState.RUNNING)
    fill(disk)
    wait_until(lambda: run.status().troubles)
    go.touch()
    wait_until(lambda: run.state().is_over)
    assert run.state() is RunState.FINISHED and run.status().troubles
    (disk / "filler").unlink()
    thread.join()
    assert following.state().is_over and half_written(disk) == []


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project"))


def submitted(project, disk, **options):
    values = {"dit": str(TRANSFORMER), "dataset_config": str(project.dataset_file), "mixed_precision": "no"}
    configuration = Configuration.from_values({**values, "network_dim": 16, "output_name": "x", **options})
    return submit_training(configuration, workspace=disk)


def all_whole(run):
    """Whether everything that has a final name can be read."""
    for path in run.checkpoints.glob("*.safetensors"):
        load_lora(path)
    for path in run.checkpoints.glob("*-state"):
        read_state_record(path)
    return half_written(run.path) == []


def test_a_training_on_a_full_disk_goes_on_without_a_checkpoint_and_saves_when_there_is_room(project, disk):
    run = submitted(project, disk, max_train_steps=100000)
    thread = in_background(run_job, run)
    wait_until(lambda: run.status() is not None and run.status().step > 0)
    fill(disk)
    run.request("save")
    wait_until(lambda: run.status().troubles and not run.has_request("save"))
    step = run.status().step
    wait_until(lambda: run.status().step > step + 2)
    assert all_whole(run) and list_states(run) == []
    assert run.status().troubles[0]["id"] == "disk_full"
    (disk / "filler").unlink()
    run.request("stop")
    thread.join()
    assert run.state() is RunState.STOPPED, run.log_file.read_text()
    assert all_whole(run) and list_states(run)[0].step == run.status().step


def test_a_training_that_cannot_save_its_end_fails_with_that_and_can_be_resumed(project, disk):
    run = submitted(project, disk, max_train_steps=40, save_every_n_steps=1, save_state=True)
    run_job(run)
    assert run.state() is RunState.FAILED
    failure = find_failure(run)
    assert failure.id == "disk_full" and "cannot be written" in failure.sentence
    assert all_whole(run) and list_states(run)
    assert processes_of(Path(disk)) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # how TensorBoard's writer ends
def test_tensorboard_gets_values_again_when_there_is_room(disk):
    accelerator = Accelerator(cpu=True, log_with=["tensorboard"], project_dir=str(disk))
    trackers = Trackers(accelerator, log_folder=disk, name="x", retry_s=0.0)
    values = {f"value/{number}": 1.0 for number in range(30)}
    trackers.log_step(values, step=1)
    fill(disk)
    for step in range(2, 8):  # the last block of the file takes some more
        trackers.log_step(values, step=step)
    (disk / "filler").unlink()
    for step in range(10, 13):
        trackers.log_step(values, step=step)
    trackers.close()
    events = EventAccumulator(str(disk / "x"))
    events.Reload()
    steps = sorted(event.step for event in events.Scalars("value/29"))  # files of one second: the tenth is read first
    assert steps[0] == 1 and steps[-3:] == [10, 11, 12] and 7 not in steps
