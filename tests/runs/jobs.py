"""Small Python programs as jobs, and waiting for what they do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil

from backend.runs.folder import Job, RunFolder, create_run_folder, submit

ENDS = "print('done')"

FAILS = "import sys; print('something broke'); sys.exit(3)"

WAITS_FOR_STOP = """
import os, sys, time
from pathlib import Path
from backend.errors import StoppedByUser
from backend.runs.status import Reporter
reporter = Reporter.from_environment()
reporter.update(phase="training")
while not reporter.is_requested("stop"):
    time.sleep(0.02)
reporter.update(outcome="stopped", message="saved before leaving")
sys.exit(StoppedByUser.exit_code)
"""

STUBBORN = """
import os, signal, subprocess, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "child"])
Path(__file__).with_suffix(f".ready{len(sys.argv)}").touch()
while True:
    time.sleep(1)
"""

LEAVES_A_STUBBORN_CHILD = """
import signal, subprocess, sys, time
from pathlib import Path
if len(sys.argv) == 1:
    child = subprocess.Popen([sys.executable, __file__, "child"])
    while True:
        time.sleep(1)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
Path(__file__).with_suffix(".ready2").touch()
while True:
    time.sleep(1)
"""

ENDS_AND_LEAVES_AN_ORPHAN = """
import subprocess, sys, time
from pathlib import Path
if len(sys.argv) == 1:  # the orphan's parent is gone before anybody could list it as a descendant
    middle = subprocess.Popen([sys.executable, __file__, "middle"])
    middle.wait()
elif sys.argv[1] == "middle":
    subprocess.Popen([sys.executable, __file__, "orphan", "2"])
else:
    Path(__file__).with_suffix(".ready3").touch()
    while True:
        time.sleep(1)
"""

LAUNCHES_A_TRAINER_THAT_IS_KILLED = """
import os, signal, subprocess, sys
if len(sys.argv) == 1:  # as accelerate's launcher: 1, whatever became of the child
    trainer = subprocess.Popen([sys.executable, __file__, "trainer"], env={**os.environ, "PYTHONPATH": os.getcwd()})
    sys.exit(1 if trainer.wait() else 0)
from backend.runs.status import Reporter
Reporter.from_environment().update(phase="training")
os.kill(os.getpid(), signal.SIGKILL)
"""

TRAINS_UNTIL_ITS_FILE = """
import time
from pathlib import Path
from backend.runs.status import Reporter
reporter = Reporter.from_environment()
reporter.update(phase="training", total_steps=100)
step = 0
while not Path(__file__).with_suffix(".go").exists():
    step += 1
    reporter.update(step=step)
    time.sleep(0.02)
reporter.update(phase="done", outcome="finished")
"""

WAITS_FOR_A_FILE = """
import time
from pathlib import Path
Path(__file__).with_suffix(".started").touch()
while not Path(__file__).with_suffix(".go").exists():
    time.sleep(0.02)
"""


def make_run(workspace: Path, program: str, *, name: str = "job", **job: object) -> RunFolder:
    """A queued run of a Python program, which lies in the run's folder as job.py."""
    run = create_run_folder(workspace, name)
    script = run.path / "job.py"
    script.write_text(program, encoding="utf-8")
    bootstrap = "import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')"  # finds the project's modules
    submit(run, Job(**{"kind": "test", "name": name, "arguments": ("-c", bootstrap, str(script)), **job}))  # type: ignore[arg-type]
    return run


def submit_named(workspace: Path, *names: str, **job: object) -> list[RunFolder]:
    """Runs in these folders, submitted in this order, of a job that does nothing."""
    runs = [RunFolder(workspace / "runs" / name) for name in names]
    for run in runs:
        run.path.mkdir(parents=True)
        submit(run, Job(**{"kind": "train", "name": "x", "arguments": ("-c", "pass"), **job}))  # type: ignore[arg-type]
    return runs


def wait_until(condition: Callable[[], object], *, timeout_s: float = 600) -> None:
    """Wait for something that another process does; a machine under load may take long over it."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def processes_of(path: Path) -> list[psutil.Process]:
    """All living processes that name this file or folder in their arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(path) in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found
