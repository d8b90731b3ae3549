"""A clock that is set while runs go on: real processes whose time of day a small library changes."""

import os
import shutil
import subprocess
import sys

import pytest

from backend.runs.folder import RunState
from backend.runs.process import PROJECT
from tests.runs import jobs
from tests.runs.jobs import make_run, wait_until

CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static long jump(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("JUMP_FILE"), "r");
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*system_clock)(clockid_t, struct timespec *);
    if (!system_clock) system_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = system_clock(id, now);
    if (!result && id == CLOCK_REALTIME) now->tv_sec += jump();
    return result;
}
"""
YEAR_S = 365 * 24 * 3600


@pytest.fixture
def clock(tmp_path):
    """The environment of processes whose clock is off by the seconds in a file, and that file."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("a clock of one's own needs Linux and a C compiler")
    source, library, file = tmp_path / "clock.c", tmp_path / "clock.so", tmp_path / "jump"
    source.write_text(CLOCK)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    file.write_text("0")
    return {**os.environ, "LD_PRELOAD": str(library), "JUMP_FILE": str(file)}, file


def test_a_run_and_its_queue_go_on_when_the_clock_is_set_back_and_forward(tmp_path, clock):
    environment, jump = clock
    run, following = make_run(tmp_path, jobs.TRAINS_UNTIL_ITS_FILE), make_run(tmp_path, jobs.ENDS)
    command = [sys.executable, "-m", "backend", "queue", "--workspace", str(tmp_path)]
    worker = subprocess.Popen(command, cwd=PROJECT, env=environment)
    wait_until(lambda: run.state() is RunState.RUNNING)
    for seconds in (-YEAR_S, YEAR_S, -3600):
        before = run.status()
        jump.write_text(str(seconds))
        wait_until(lambda before=before: abs(run.status().updated - before.updated) > 3000)  # it sees the new time
        jumped = run.status()
        wait_until(lambda jumped=jumped: run.status().step > jumped.step + 30)
        assert run.state() is RunState.RUNNING
        assert before.seconds < jumped.seconds < run.status().seconds < 3600
    (run.path / "job.go").touch()
    assert worker.wait() == 0
    assert [each.state() for each in (run, following)] == [RunState.FINISHED] * 2
