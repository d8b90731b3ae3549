import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest
from starlette.datastructures import Headers
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from backend.runs.folder import Job, RunFolder, submit
from backend.runs.status import write_json
from gui.tensorboard import TensorBoard, TensorBoardError, forwarded_headers, free_port


def write_loss(folder, values):
    writer = EventFileWriter(str(folder))
    for step, value in enumerate(values, start=1):
        scalar = Summary(value=[Summary.Value(tag="loss/average", simple_value=value)])
        writer.add_event(Event(step=step, wall_time=time.time(), summary=scalar))
    writer.close()


def write_run(workspace, name, *, log_folder):
    run = RunFolder(workspace / "runs" / name)
    run.path.mkdir(parents=True)
    submit(run, Job(kind="train", name="x", arguments=()))
    write_json(run.status_file, {"outcome": "finished", "log_folder": str(log_folder)})


def wait_for_run(client, name):
    """It reads the files in the background."""
    give_up = time.monotonic() + 60
    while name not in (runs := client.get("/tensorboard/data/runs").json()):
        assert time.monotonic() < give_up, runs
        time.sleep(0.1)


def tensorboard_processes(page) -> list[psutil.Process]:
    head = psutil.Process(page.application.state.tensorboard.process.pid)
    return [head, *head.children(recursive=True)]


def test_scalars_of_real_event_files_come_through_the_proxy(serve_page, tmp_path):
    write_loss(tmp_path / "logs" / "run_1", [0.5, 0.25])
    page = serve_page()
    frame = page.client.get("/tensorboard/")
    assert (frame.status_code, frame.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<title>TensorBoard</title>" in frame.text
    assert "transfer-encoding" in frame.headers or "content-length" in frame.headers

    requests = '[{"plugin": "scalars", "tag": "loss/average"}]'
    for _ in range(100):  # it reads the files in the background
        answer = page.client.post("/tensorboard/data/plugin/timeseries/timeSeries", data={"requests": requests})
        series = answer.json()[0].get("runToSeries", {}).get("run_1", [])
        if len(series) == 2:
            break
        time.sleep(0.1)
    assert [(point["step"], point["value"]) for point in series] == [(1, 0.5), (2, 0.25)]


def test_logs_that_a_run_writes_elsewhere_are_shown_too_those_of_a_run_that_begins_later_as_well(serve_page, tmp_path):
    workspace, elsewhere = tmp_path / "workspace", tmp_path / "own logs"
    page = serve_page(workspace)
    for name in ("20261122-114009_first", "20261122-114010_second"):
        write_loss(elsewhere / name / "network_train", [0.5])
        write_run(workspace, name, log_folder=elsewhere / name)
        wait_for_run(page.client, f"{name}/network_train")
    assert page.client.get("/logs/not_shown").json() == {"not_shown": [], "restarts": 0, "last_end": ""}


def test_the_names_by_which_tensorboard_knows_runs_are_told(serve_page, tmp_path):
    page = serve_page()
    write_run(tmp_path, "inside", log_folder=tmp_path / "logs" / "20261122114009")
    write_run(tmp_path, "elsewhere", log_folder=tmp_path / "other" / "20261122114010")
    write_run(tmp_path, "silent", log_folder="")
    query = {"run": ["inside", "elsewhere", "silent", "no_such_run"]}
    assert page.client.get("/logs/names", params=query).json() == {"names": ["20261122114009", "elsewhere"]}


def test_the_address_without_a_slash_leads_to_the_folder(serve_page):
    answer = serve_page().client.get("/tensorboard")
    assert (answer.status_code, answer.headers["location"]) == (
        307,
        "tensorboard/",
    )  # relative, as there may be a path prefix


def test_the_fonts_that_its_style_sheet_names_are_found(serve_page):
    client = serve_page().client
    style = client.get("/tensorboard/").text
    font = re.search(r"/font-roboto/[^)\"']+\.woff2", style).group()
    assert client.get(font, follow_redirects=True).headers["content-type"] == "font/woff2"


def test_it_starts_with_the_first_request_and_ends_with_the_page(serve_page, tmp_path):
    page = serve_page()
    assert page.application.state.tensorboard.process is None
    page.client.get("/tensorboard/")
    processes = tensorboard_processes(page)
    assert (tmp_path / "tensorboard.log").exists()
    page.stop()
    psutil.wait_procs(processes, timeout=10)
    assert not any(process.is_running() for process in processes)


def test_it_is_started_again_when_it_has_died(serve_page):
    page = serve_page()
    page.client.get("/tensorboard/")
    first = tensorboard_processes(page)
    first[0].kill()
    assert page.client.get("/tensorboard/data/environment").status_code == 200
    assert tensorboard_processes(page)[0].pid != first[0].pid
    told = page.client.get("/logs/not_shown").json()
    assert told["restarts"] == 1
    assert told["last_end"].startswith("TensorBoard ended with exit code")
    psutil.wait_procs(first, timeout=10)
    assert not any(process.is_running() for process in first)


def test_requests_that_come_together_start_it_once(serve_page):
    page = serve_page()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(page.client.get, ["/tensorboard/data/environment"] * 6))
    assert [answer.status_code for answer in answers] == [200] * 6


@pytest.mark.anyio
async def test_a_port_that_was_taken_meanwhile_is_given_up_for_another(tmp_path, anyio_backend):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = [other.getsockname()[1], free_port()]
        wanted = iter(ports)
        board = TensorBoard(tmp_path / "logs", output=tmp_path / "out.log", find_port=lambda: next(wanted))
        try:
            assert await board.address() == f"http://127.0.0.1:{ports[1]}"
        finally:
            await board.close()


@pytest.mark.anyio
async def test_a_tensorboard_of_somebody_else_on_the_port_stays_and_is_not_taken_for_it(tmp_path, anyio_backend):
    foreign = TensorBoard(tmp_path / "theirs", output=tmp_path / "theirs.log")
    theirs = await foreign.address()
    wanted = iter([int(theirs.rpartition(":")[2]), free_port()])
    board = TensorBoard(tmp_path / "logs", output=tmp_path / "out.log", find_port=lambda: next(wanted))
    try:
        ours = await board.address()
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            for address, logs in ((theirs, "theirs"), (ours, "logs")):
                told = await client.get(f"{address}/tensorboard/data/environment")
                assert told.json()["data_location"] == str(tmp_path / logs)
    finally:
        await board.close()
        await foreign.close()


@pytest.mark.anyio
async def test_when_it_cannot_start_the_end_of_its_log_is_told(tmp_path, anyio_backend):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        board = TensorBoard(tmp_path / "logs", output=tmp_path / "out.log", find_port=lambda: port)
        with pytest.raises(TensorBoardError, match=f"(?s)ended with exit code .*{port}"):
            await board.address()
        await board.close()


def test_the_login_and_the_cookies_of_the_page_are_kept_from_it():
    headers = Headers({"Host": "x", "Cookie": "a=1", "Authorization": "Basic x", "TE": "y", "X-TensorBoard": "z"})
    assert forwarded_headers(headers) == [("x-tensorboard", "z"), ("accept-encoding", "identity")]


@pytest.fixture
def anyio_backend():
    return "asyncio"
