"""Stopping runs through the page's address, with real workers."""

import time
from pathlib import Path

import httpx

from backend.runs.folder import Job, RunFolder, RunState, submit
from backend.runs.status import write_json


def make_run(workspace: Path, code: str = "pass") -> RunFolder:
    run = RunFolder(workspace / "runs" / "20261122-114009_猫 100%")
    run.path.mkdir(parents=True)
    submit(run, Job(kind="train", name="猫", arguments=("-c", code)))
    return run


def stop(client: httpx.Client, name: str) -> httpx.Response:
    return client.post(httpx.URL(client.base_url).copy_with(path=f"/runs/{name}/stop"))


def wait_until_over(run: RunFolder) -> None:
    while not run.state().is_over or run.exit_record() is None:
        time.sleep(0.05)


def test_a_queued_run_is_taken_out_of_the_queue(serve_page, tmp_path):
    run = make_run(tmp_path)
    answer = stop(serve_page().client, run.name)
    assert (answer.status_code, answer.json()) == (200, {"run": run.name, "state": "queued", "requested": True})
    wait_until_over(run)
    assert (run.state(), run.exit_record()["how"]) == (RunState.STOPPED, "cancelled")


def test_a_run_that_is_over_is_left_as_it_is(serve_page, tmp_path):
    run = make_run(tmp_path)
    write_json(run.exit_file, {"code": 0, "how": "", "at": 0.0})
    assert stop(serve_page().client, run.name).json() == {"run": run.name, "state": "finished", "requested": False}
    assert not run.has_request("stop")


def test_an_unknown_run_and_a_path_are_nobodys(serve_page, tmp_path):
    make_run(tmp_path)
    client = serve_page().client
    for name in ("no_such_run", "..", "current"):
        assert stop(client, name).status_code in (404, 405)
    assert stop(client, "no_such_run").json() == {"error": "There is no run 'no_such_run'."}


def test_only_the_page_itself_may_stop_a_run(serve_page, tmp_path):
    run = make_run(tmp_path)
    client = serve_page().client
    path = f"/runs/{run.name}/stop"
    assert client.post(path, headers={"origin": "http://other.example"}).status_code == 403
    assert client.get(path).status_code in (404, 405)
    assert not run.has_request("stop")
