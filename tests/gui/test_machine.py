import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.gpus import Gpus
from backend.runs.folder import Job, RunFolder, submit
from backend.runs.process import ProcessMark, kill, own_group, process_tree
from backend.runs.status import write_json
from gui.machine import FRESH_S, TREE_S, Machine

BUSY_WITH_A_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("begun", flush=True)
while True: pass
"""


def no_library():
    raise ImportError("pynvml")


def without_gpus() -> Gpus:
    return Gpus(no_library)


@pytest.fixture
def busy_run(tmp_path: Path) -> Iterator[RunFolder]:
    """A run whose process computes and has a child that sleeps."""
    run = RunFolder(tmp_path / "runs" / "20261122-114009_busy")
    run.path.mkdir(parents=True)
    submit(run, Job(kind="train", name="busy", arguments=()))
    process = subprocess.Popen([sys.executable, "-c", BUSY_WITH_A_CHILD], stdout=subprocess.PIPE, **own_group())
    process.stdout.readline()
    write_json(run.process_file, ProcessMark.of(process.pid).record())
    yield run
    kill(process_tree(ProcessMark.of(process.pid)))
    process.wait()
    process.stdout.close()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_machine_is_measured_and_no_run_is_none(tmp_path):
    reading = Machine(tmp_path, find_gpus=without_gpus).read(None)
    assert 0 < reading["memory_used"] < reading["memory_total"]
    assert 0 < reading["disk_free"] < reading["disk_total"]
    assert reading["cpu"] is None  # nothing to compare with yet
    assert (reading["gpus"], reading["no_gpu"], reading["run"]) == ([], "no_library", None)


def test_a_runs_whole_tree_is_measured(busy_run):
    clock = Clock()
    machine = Machine(busy_run.workspace, find_gpus=without_gpus, clock=clock)
    assert machine.read(busy_run)["run"]["cpu"] is None  # nothing to compare with yet
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        pass
    clock.now += FRESH_S
    use = machine.read(busy_run)["run"]
    assert use["processes"] == 2
    assert use["cpu"] > 1
    assert use["memory"] > 2**21


def test_all_pages_share_a_reading_until_it_is_old(tmp_path):
    clock = Clock()
    machine = Machine(tmp_path, find_gpus=without_gpus, clock=clock)
    first = machine.read(None)
    clock.now += FRESH_S / 2
    assert machine.read(None) is first
    clock.now += FRESH_S
    assert machine.read(None) is not first


def test_the_page_gets_it_for_a_run_by_name(serve_page, busy_run):
    client = serve_page(busy_run.workspace).client
    assert client.get("/machine", params={"run": busy_run.name}).json()["run"]["processes"] == 2
    assert client.get("/machine", params={"run": "../x"}).json()["run"] is None


def test_the_processor_is_told_whichever_thread_of_the_server_asks_and_not_over_a_long_pause(busy_run):
    clock = Clock()
    machine = Machine(busy_run.workspace, find_gpus=without_gpus, clock=clock)
    told = []
    for seconds in (0.0, FRESH_S, FRESH_S, TREE_S + 1, FRESH_S):
        time.sleep(0.2)  # in which the run computes
        clock.now += seconds
        thread = threading.Thread(target=lambda: told.append(machine.read(None)["cpu"]))
        thread.start()
        thread.join()
    assert [cpu is None or cpu > 0 for cpu in told] == [True] * 5
    assert [cpu is None for cpu in told] == [True, False, False, True, False]
