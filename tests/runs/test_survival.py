"""What a run outlives, and what becomes of it when it does not: page, worker and everything killed, for real."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys

import httpx
import psutil
import pytest

from backend.config.configuration import Configuration
from backend.runs.again import resume_run
from backend.runs.current import current_run
from backend.runs.failures import find_failure
from backend.runs.folder import RunState
from backend.runs.history import row_of
from backend.runs.process import PROJECT
from backend.runs.queue import ensure_worker
from backend.runs.states import last_state, list_states
from backend.runs.training_job import submit_training
from tests.commands.tiny_project import TRANSFORMER, make_project, wait_for_step
from tests.runs import jobs
from tests.runs.jobs import make_run, processes_of, wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path):
    yield
    left = processes_of(tmp_path)
    for process in left:
        process.kill()
    assert left == []


class Page:
    """app.py in a process of its own, as a user starts it."""

    def __init__(self, workspace, *, port=0):
        command = [sys.executable, "app.py", "--no-open", "--port", str(port), "--workspace", str(workspace)]
        self._process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        found = next(match for line in self._process.stdout if (match := re.search(r"http://\S+:(\d+)", line)))
        self.address, self.port = found[0], int(found[1])

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def status(self):
        """What a page that opens now is told of the current run."""
        with httpx.stream("GET", f"{self.address}/events/run", trust_env=False, timeout=60) as stream:
            lines = stream.iter_lines()
            next(line for line in lines if line == "event: status")
            return json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))


def worker_of(workspace):
    """The queue worker of a workspace, None if there is none."""
    return next((process for process in processes_of(workspace) if "queue" in process.cmdline()), None)


def kill_worker(workspace):
    worker = worker_of(workspace)
    worker.kill()
    psutil.wait_procs([worker])


def goes_on(run):
    step = run.status().step
    wait_until(lambda: run.status().step > step + 2)
    return run.state() is RunState.RUNNING


def is_free(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return listener.connect_ex(("127.0.0.1", port)) != 0


def test_a_run_outlives_page_and_worker_and_the_next_page_takes_both_over(tmp_path):
    run, following = make_run(tmp_path, jobs.TRAINS_UNTIL_ITS_FILE), make_run(tmp_path, jobs.ENDS)
    page = Page(tmp_path)
    wait_until(lambda: run.state() is RunState.RUNNING)
    page.kill()
    assert goes_on(run) and is_free(page.port)

    page = Page(tmp_path, port=page.port)  # the same port, at once
    told = page.status()
    assert (told["run"], told["state"]) == (run.name, "running") and told["step"] > 0
    kill_worker(tmp_path)
    assert goes_on(run) and page.status()["state"] == "running"
    page.kill()
    assert goes_on(run) and worker_of(tmp_path) is None

    page = Page(tmp_path)
    wait_until(lambda: worker_of(tmp_path))
    (run.path / "job.go").touch()
    wait_until(lambda: following.state() is RunState.FINISHED)
    assert run.state() is RunState.FINISHED
    wait_until(lambda: worker_of(tmp_path) is None)
    page.kill()
    assert is_free(page.port)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("project"))


def test_after_the_machine_went_down_the_run_crashed_and_is_resumed_and_the_queue_goes_on(project, tmp_path):
    options = {
        "dit": str(TRANSFORMER), "dataset_config": str(project.dataset_file), "mixed_precision": "no", "network_dim": 2,
        "max_train_steps": 100000, "save_every_n_steps": 2, "save_state": True, "output_name": "lost",
    }  # fmt: skip
    run = submit_training(Configuration.from_values(options), workspace=tmp_path)
    waiting = make_run(tmp_path, jobs.ENDS)
    ensure_worker(tmp_path)
    wait_until(lambda: run.status() is not None and run.status().step >= 5)
    everything = processes_of(tmp_path)
    assert len(everything) >= 3  # worker, launcher, trainer
    for process in everything:
        process.suspend()  # so that none can tell of another's death
    for process in everything:
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: run.state() is RunState.CRASHED)

    assert run.exit_record() is None
    row, failure = row_of(run), find_failure(run)
    assert (row.failure, failure.parameters) == ("vanished", {"step": row.step}) and row.step >= 5
    state = last_state(run)
    assert state.step >= 4 and state.step % 2 == 0 and state.epoch == -(-state.step // 3)
    assert all(path.suffix == ".safetensors" or path.name.endswith("-state") for path in visible(run.checkpoints))

    (resumed,) = resume_run(run, changes={"max_train_steps": state.step + 2})
    ensure_worker(tmp_path)
    wait_until(lambda: resumed.state().is_over and not processes_of(tmp_path))
    assert [each.state() for each in (resumed, waiting)] == [RunState.FINISHED] * 2
    steps = [json.loads(line)["step"] for line in resumed.metrics_file.read_text().splitlines()]
    assert steps == [state.step + 1, state.step + 2]
    assert resumed.checkpoints.is_dir() and {each.path.parent for each in list_states(run)} == {run.checkpoints}
    assert current_run(tmp_path) == resumed


def visible(folder):
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def test_a_training_saves_when_asked_and_stops_after_its_epoch(project):
    command = project.start_training("--max_train_steps", "100000", "--output_name", "asked")
    run = wait_for_step(project, 1, output_name="asked")
    run.request("save")
    wait_until(lambda: run.status().phase == "saving" or not run.has_request("save"))
    run.request("stop_after_epoch")  # while it saves
    command.communicate()
    assert run.state() is RunState.STOPPED
    last, saved = list_states(run)
    assert all((state.path.parent / f"asked-step{state.step:08d}.safetensors").is_file() for state in (last, saved))
    assert last.step > saved.step and last.step % 3 == 0 and last.epoch == last.step // 3
    assert run.status().step == last.step
