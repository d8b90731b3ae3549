"""What the page asks of a run beside stopping: requests to a training that goes on, and the order of the queue."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from backend.runs.folder import RunFolder
from backend.runs.order import waiting_runs
from backend.runs.process import ProcessMark
from backend.runs.status import Reporter
from tests.gui.written_runs import end_run, make_run


@pytest.fixture
def training(tmp_path: Path) -> Iterator[RunFolder]:
    """A training that goes on."""
    run = make_run(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Reporter(run.path).update(phase="training", process=ProcessMark.of(process.pid).record())
    yield run
    process.kill()
    process.wait()


@pytest.mark.parametrize("what", ["save", "sample", "stop_after_epoch"])
def test_a_training_that_goes_on_is_asked(training, serve_page, what):
    answer = serve_page().client.post(f"/runs/{training.name}/ask/{what}")
    assert (answer.status_code, answer.json()) == (200, {"run": training.name})
    assert training.has_request(what)


def test_nothing_else_can_be_asked_for_and_only_of_what_goes_on(training, serve_page, tmp_path):
    over = make_run(tmp_path)
    end_run(over)
    client = serve_page().client
    assert client.post(f"/runs/{training.name}/ask/stop").status_code == 404
    assert client.post(f"/runs/{training.name}/ask/..%2fx").status_code == 404
    answer = client.post(f"/runs/{over.name}/ask/save")
    assert (answer.status_code, "only a run that goes on" in answer.json()["error"]) == (409, True)
    assert client.post("/runs/no_such_run/ask/save").status_code == 404


def test_the_queue_is_reordered_held_and_released(tmp_path, serve_page):
    with FileLock(tmp_path / "queue.lock"):  # no worker takes them meanwhile
        first, second, third = (make_run(tmp_path) for _ in range(3))
        client = serve_page().client
        assert client.post(f"/runs/{third.name}/move", params={"to": 0}).status_code == 200
        assert waiting_runs(tmp_path) == [third, first, second]
        for wrong in ("-1", "x", ""):
            assert client.post(f"/runs/{third.name}/move", params={"to": wrong}).status_code == 400
        assert client.post(f"/runs/{first.name}/hold").status_code == 200
        assert first.place().held
        assert client.post(f"/runs/{first.name}/release").status_code == 200
        assert not first.place().held
        assert client.post(f"/runs/{second.name}/cancel").status_code == 200
        assert waiting_runs(tmp_path) == [third, first]
        answer = client.post(f"/runs/{second.name}/hold")
        assert (answer.status_code, "does not wait" in answer.json()["error"]) == (409, True)
