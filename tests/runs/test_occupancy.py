"""Which runs go on at once, with real processes: those of the queue, of commands in the foreground, and tools."""

import subprocess
import sys
import threading

import pytest

from backend.runs.current import current_run
from backend.runs.folder import RunState
from backend.runs.occupancy import exclude_each_other, occupies, runs_in_its_way
from backend.runs.process import PROJECT
from backend.runs.queue import ensure_worker, work
from backend.runs.status import write_json
from backend.runs.watch import Patience
from tests.commands.tiny_project import interrupt, make_project, wait_for_step
from tests.runs import jobs
from tests.runs.jobs import make_run, processes_of, submit_named, wait_until

SHORT = Patience(stop_s=0.5, terminate_s=0.5, leftovers_s=0.2, linger_s=0.2)

IN_THE_FOREGROUND = """
import sys
from pathlib import Path
from backend.runs.queue import run_job
from tests.runs import jobs
run = jobs.make_run(Path(sys.argv[1]), jobs.WAITS_FOR_A_FILE, name="command", foreground=True, devices=("0",))
print(run.path, flush=True)
run_job(run)
"""


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path):
    yield
    left = processes_of(tmp_path)
    for process in left:
        process.kill()
    assert left == []


@pytest.fixture
def worker(tmp_path):
    """Starts the worker of the workspace in this process; it is waited for at the end."""
    threads = []

    def start():
        threads.append(threading.Thread(target=work, args=[tmp_path], kwargs={"patience": SHORT}))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def started(run):
    return (run.path / "job.started").exists()


def let_go(*runs):
    for run in runs:
        (run.path / "job.go").touch()


def test_tools_on_the_cpu_run_beside_a_training_one_after_the_other_and_what_needs_the_gpu_waits(tmp_path, worker):
    training = make_run(tmp_path, jobs.WAITS_FOR_A_FILE, kind="train")
    sampling = make_run(tmp_path, jobs.WAITS_FOR_A_FILE, kind="generate")
    first = make_run(tmp_path, jobs.WAITS_FOR_A_FILE, kind="lora")
    second = make_run(tmp_path, jobs.WAITS_FOR_A_FILE, kind="lora")
    worker()
    wait_until(lambda: started(training) and started(first))
    let_go(first)
    wait_until(lambda: started(second))
    assert first.state() is RunState.FINISHED and not started(sampling)
    let_go(training)
    wait_until(lambda: started(sampling))
    assert training.state() is RunState.FINISHED and not second.state().is_over
    let_go(sampling, second)


def test_the_worker_leaves_the_gpu_of_a_command_in_the_foreground_alone_until_that_has_ended(tmp_path, worker):
    command = subprocess.Popen(
        [sys.executable, "-c", IN_THE_FOREGROUND, str(tmp_path)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    )
    foreground = command.stdout.readline().strip()
    same = make_run(tmp_path, jobs.WAITS_FOR_A_FILE, devices=("0",))
    other = make_run(tmp_path, jobs.WAITS_FOR_A_FILE, devices=("1",))
    worker()
    wait_until(lambda: started(other))
    let_go(other)
    wait_until(lambda: other.state() is RunState.FINISHED)
    later = make_run(tmp_path, jobs.WAITS_FOR_A_FILE, devices=("1",))
    every = make_run(tmp_path, jobs.WAITS_FOR_A_FILE)
    wait_until(lambda: started(later))  # the worker stayed, and has looked again
    let_go(later)
    assert not started(same) and command.poll() is None
    (tmp_path / "runs" / foreground.rpartition("/")[2] / "job.go").touch()
    command.communicate()
    wait_until(lambda: started(same))
    assert not started(every)
    let_go(same, every)


def test_a_training_from_a_shell_tells_with_whom_it_shares_the_gpu_and_the_queue_waits_for_it(tmp_path):
    project = make_project(tmp_path)
    running = make_run(project.workspace, jobs.WAITS_FOR_STOP)
    ensure_worker(project.workspace)
    wait_until(lambda: running.state() is RunState.RUNNING)
    command = project.start_training("--max_train_steps", "100000", "--output_name", "shell")
    run = wait_for_step(project, 1, output_name="shell")
    following = make_run(project.workspace, jobs.ENDS)
    running.request("stop")
    wait_until(lambda: running.state() is RunState.STOPPED)
    tool = make_run(project.workspace, jobs.ENDS, kind="lora")
    wait_until(lambda: tool.state() is RunState.FINISHED)  # the worker has looked for what can be started
    assert (following.state(), run.state()) == (RunState.QUEUED, RunState.RUNNING)
    assert current_run(project.workspace) == run  # the page shows it by itself
    interrupt(command)
    printed, _ = command.communicate()
    warnings = [line for line in printed.splitlines() if line.startswith("warning: ")]
    assert warnings == [
        f"warning: shares its GPU (or CPU) with {running.name}: both are slower and may run out of memory"
    ]
    wait_until(lambda: following.state() is RunState.FINISHED and not processes_of(tmp_path))
    assert run.state() is RunState.STOPPED


def test_a_command_occupies_what_it_needs_from_its_submission_to_its_end(tmp_path):
    (command,) = submit_named(tmp_path, "command", foreground=True)
    (waiting,) = submit_named(tmp_path, "waiting")
    assert occupies(command) and not occupies(waiting)
    assert runs_in_its_way(waiting) == [command] and runs_in_its_way(command) == []
    write_json(command.exit_file, {"code": 0, "how": "", "at": 0.0})
    assert not occupies(command)


@pytest.mark.parametrize(
    ("one", "other", "excluded"),
    [
        ({}, {}, True),
        ({"devices": ("0",)}, {}, True),
        ({"devices": ("0",)}, {"devices": ("1",)}, False),
        ({"devices": ("0", "1")}, {"devices": ("1",), "kind": "cache_latents"}, True),
        ({"kind": "lora"}, {}, False),
        ({"kind": "lora"}, {"devices": ("0",)}, False),
        ({"kind": "lora"}, {"kind": "lora"}, True),
        ({"kind": "generate"}, {}, True),
        ({"kind": "generate"}, {"kind": "lora"}, False),
    ],
)
def test_who_excludes_whom_follows_from_kind_and_gpus(tmp_path, one, other, excluded):
    (first,), (second,) = submit_named(tmp_path, "a", **one), submit_named(tmp_path, "b", **other)
    assert exclude_each_other(first, second) is exclude_each_other(second, first) is excluded
