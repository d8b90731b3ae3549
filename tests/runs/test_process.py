"""Processes of runs."""

import os
import subprocess
import sys

import psutil
import pytest

from backend.runs import process as processes
from backend.runs.process import PROJECT, ProcessMark, process_tree, session_members, start_detached, survivors
from tests.runs.jobs import wait_until

SLEEPS = "import time\nwhile True: time.sleep(1)"


@pytest.fixture
def sleeper(tmp_path):
    child = start_detached(["-c", SLEEPS], log_file=tmp_path / "log", environment={})
    yield child
    child.kill()
    child.wait()


def test_the_mark_of_a_living_process_is_alive_and_survives_json(sleeper):
    mark = ProcessMark.of(sleeper.pid)
    assert mark.is_alive()
    assert ProcessMark.read(mark.record()) == mark


def test_a_zombie_is_not_alive(tmp_path):
    child = start_detached(["-c", "pass"], log_file=tmp_path / "log", environment={})
    mark = ProcessMark.of(child.pid)
    wait_until(lambda: not mark.is_alive())
    child.wait()
    assert not mark.is_alive() and process_tree(mark) == []


def test_another_process_with_the_same_pid_is_not_taken_for_the_first():
    own = ProcessMark.of(os.getpid())
    assert own.is_alive()
    assert not ProcessMark(own.pid, own.started - 1).is_alive()
    assert process_tree(ProcessMark(own.pid, own.started - 1)) == []


def test_there_is_no_mark_of_a_process_that_is_not_there():
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    with pytest.raises(psutil.NoSuchProcess):
        ProcessMark.of(child.pid)


def test_a_detached_process_writes_to_the_log_and_sees_environment_and_project(tmp_path):
    program = "import os, sys; print('ü', os.environ['MARK'], os.getcwd()); print('x', file=sys.stderr)"
    child = start_detached(["-c", program], log_file=tmp_path / "log", environment={"MARK": "here"})
    assert child.wait() == 0
    assert (tmp_path / "log").read_text(encoding="utf-8").split() == ["ü", "here", str(PROJECT), "x"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sessions")
def test_a_detached_process_has_a_session_of_its_own(sleeper):
    assert os.getsid(sleeper.pid) == sleeper.pid != os.getsid(0)
    assert [process.pid for process in session_members(sleeper.pid)] == [sleeper.pid]


def test_the_tree_holds_grandchildren(tmp_path):
    program = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); time.sleep(60)"
    nested = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    child = start_detached(["-c", program, nested + "time.sleep(60)"], log_file=tmp_path / "log", environment={})
    mark = ProcessMark.of(child.pid)
    wait_until(lambda: len(process_tree(mark)) == 3)
    tree = process_tree(mark)
    assert tree[0].pid == child.pid
    processes.kill(tree)
    child.wait()
    assert survivors(tree, timeout_s=10) == []


class OfAnotherUser(psutil.Process):
    """A process that one may not end."""

    def terminate(self):
        raise psutil.AccessDenied(self.pid)

    kill = terminate


def test_who_had_to_be_killed_is_told_and_who_runs_even_so(tmp_path):
    ignores = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(sys.argv[1], 'w'); "
    programs = [SLEEPS, ignores + "time.sleep(600)", SLEEPS]
    children = [
        start_detached(["-c", program, str(tmp_path / "ready")], log_file=tmp_path / "log", environment={})
        for program in programs
    ]
    wait_until((tmp_path / "ready").exists)
    gentle, stubborn = (psutil.Process(child.pid) for child in children[:2])
    foreign = OfAnotherUser(children[2].pid)
    killed, left = processes.end([gentle, stubborn, foreign], leave_s=0, terminate_s=1)
    assert killed == ([foreign] if sys.platform == "win32" else [stubborn, foreign])
    assert left == [foreign]
    children[2].kill()
    for child in children:
        child.wait()


def test_survivors_are_those_that_still_run(sleeper):
    process = psutil.Process(sleeper.pid)
    assert survivors([process], timeout_s=0) == [process]
    processes.terminate([process])
    assert survivors([process], timeout_s=30) == []
    assert sleeper.wait() != 0  # not reaped by looking at it
