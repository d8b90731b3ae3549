import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from backend.runs.folder import Job, RunFolder, submit
from backend.runs.status import Reporter

NO_LIMITS = httpx.Limits(max_connections=None)


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "runs" / "20261122-114009_cat")
    run.path.mkdir(parents=True)
    submit(run, Job(kind="train", name="cat", arguments=()))
    return run


def read_events(answer) -> Iterator[tuple[str, object, str]]:
    """Kind, data and id of each event of a stream, as a browser reads them."""
    event: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif "event" in event:
            yield event["event"], json.loads(event["data"]), event["id"]
            event = {}
        else:
            event = {}


def steps_until(answer, last: int) -> list[int]:
    steps = []
    for kind, data, _ in read_events(answer):
        if kind == "metrics":
            steps += [row["step"] for row in data]
            if last in steps:
                return steps
    raise AssertionError(f"the stream ended after {steps}")


def test_several_pages_see_a_run_grow(run, serve_page):
    page = serve_page()
    reporter = Reporter(run.path)
    reporter.add_metrics(step=1)
    with page.client.stream("GET", "/events/run") as one, page.client.stream("GET", "/events/run?run=current") as two:
        assert one.headers["content-type"].startswith("text/event-stream")
        assert one.headers["cache-control"] == "no-store"
        writer = threading.Timer(1.0, lambda: [reporter.add_metrics(step=step) for step in (2, 3)])
        writer.start()
        assert steps_until(one, 3) == [1, 2, 3]
        assert steps_until(two, 3) == [1, 2, 3]
        writer.join()


def test_a_page_that_was_away_misses_nothing(run, serve_page):
    page = serve_page()
    reporter = Reporter(run.path)
    reporter.add_metrics(step=1)
    with page.client.stream("GET", f"/events/run?run={run.name}") as stream:
        last_id = next(event_id for kind, _, event_id in read_events(stream) if kind == "metrics")
    reporter.add_metrics(step=2)
    with page.client.stream("GET", f"/events/run?run={run.name}", headers={"Last-Event-ID": last_id}) as stream:
        assert steps_until(stream, 2) == [2]


def test_an_unknown_run_is_not_found(run, serve_page):
    client = serve_page().client
    for name in ["missing", "..", "", "../runs", "..%2f..%2fetc", "%00"]:
        assert (name, client.get(f"/events/run?run={name}").status_code) == (name, 404)


def test_a_stream_ends_when_its_page_has_gone(run, serve_page):
    page = serve_page()
    with page.client.stream("GET", "/events/run") as stream:
        events = read_events(stream)  # kept: a generator that is thrown away closes its stream
        next(events)
        assert page.requests_in_progress()
    while page.requests_in_progress():
        time.sleep(0.05)


def test_an_open_stream_does_not_hold_up_the_end_of_the_server(run, serve_page):
    page = serve_page()
    with page.client.stream("GET", "/events/run") as stream:
        events = read_events(stream)
        next(events)
        page.stop()
        list(events)  # ends in order: httpx raises if the connection is cut


def test_a_hundred_open_pages_see_the_same_and_leave_the_page_answering(run, serve_page):
    page = serve_page()
    reporter = Reporter(run.path)
    with ExitStack() as opened:
        client = opened.enter_context(httpx.Client(base_url=page.client.base_url, trust_env=False, limits=NO_LIMITS))
        streams = [opened.enter_context(client.stream("GET", "/events/run", timeout=60)) for _ in range(100)]
        assert page.requests_in_progress() == 100
        assert [row["run"] for row in page.client.get("/runs").json()["rows"]] == [run.name]
        reporter.add_metrics(step=1)
        assert [steps_until(stream, 1) for stream in streams] == [[1]] * 100
