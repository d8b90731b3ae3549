import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).parents[2]


class StartedApp:
    """app.py in a process of its own, with a page of one field."""

    def __init__(self, workspace: Path, *arguments: str) -> None:
        self.output = workspace.parent / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.gui.tiny_page", "--workspace", workspace, "--no-open", *arguments],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def address(self) -> str:
        while self.process.poll() is None:
            if found := re.search(r"LoRA Loom: (http://\S+/)\n\Z", self.output.read_text()):
                return found.group(1)
            time.sleep(0.05)
        raise AssertionError(self.output.read_text())

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.address() + path, timeout=60, trust_env=False)


@pytest.fixture
def start_app(tmp_path) -> Iterator:
    started: list[StartedApp] = []

    def start(*arguments: str) -> StartedApp:
        started.append(StartedApp(tmp_path / "workspace", *arguments))
        return started[-1]

    yield start
    for app in started:
        if app.process.poll() is None:
            app.process.kill()
        app.process.wait()


def run_app(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_another_host_without_a_login_is_refused_with_the_reason(tmp_path):
    done = run_app("--host", "0.0.0.0", "--workspace", str(tmp_path / "workspace"))
    assert done.returncode == 2
    assert "without a login" in done.stderr and "--auth USER:PASSWORD" in done.stderr
    assert not (tmp_path / "workspace").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "70000 is no port"),
        (["--auth", "me"], "wanted USER:PASSWORD"),
        (["--host", "192.0.2.1", "--auth", "a:b"], "--host 192.0.2.1"),
        (["--workspace", str(ROOT / "app.py")], "--workspace"),
        (["--hots", "x"], "--hots"),
    ],
)
def test_wrong_input_ends_with_code_2_and_names_the_option(tmp_path, arguments, message):
    done = run_app("--workspace", str(tmp_path), *arguments)
    assert (done.returncode, message in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr


def test_the_login_may_come_from_the_environment():
    assert "wanted USER:PASSWORD" in run_app(LORALOOM_AUTH="half").stderr


def test_a_taken_port_is_told_and_the_address_comes_last_when_the_page_answers(start_app):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        app = start_app("--port", str(taken))
        assert app.get("").status_code == 200
        assert f"Port {taken} is taken" in app.output.read_text()
        assert f":{taken}/" not in app.address()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_page_and_tensorboard_without_a_complaint(start_app, how):
    app = start_app("--port", "0")
    assert app.get("tensorboard/data/environment").status_code == 200
    children = psutil.Process(app.process.pid).children(recursive=True)
    with httpx.stream("GET", app.address() + "events/run", trust_env=False) as stream:
        lines = stream.iter_lines()
        next(lines)
        app.process.send_signal(how)
        assert app.process.wait() == (0 if how == signal.SIGINT else -signal.SIGTERM)
    assert len(children) >= 1 and not psutil.wait_procs(children, timeout=10)[1]
    assert app.output.read_text().count("\n") == 1  # the address, and nothing after it


def test_tensorboard_ends_even_when_the_page_is_killed(start_app):
    app = start_app("--port", "0")
    app.get("tensorboard/data/environment")
    children = psutil.Process(app.process.pid).children(recursive=True)
    app.process.kill()
    assert len(children) >= 1 and not psutil.wait_procs(children, timeout=10)[1]
