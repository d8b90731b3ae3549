import base64

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from gui.guard import Guard

LOCAL = "127.0.0.1:7860"
PAGE_VISIT = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def guarded(host: str = "127.0.0.1", login: str = "") -> TestClient:
    async def answer(request):
        return PlainTextResponse("secret")

    async def echo(websocket):
        await websocket.accept()
        await websocket.send_text("secret")
        await websocket.close()

    routes = [Route("/{path:path}", answer, methods=["GET", "POST"]), WebSocketRoute("/live", echo)]
    return TestClient(Guard(Starlette(routes=routes), host=host, login=login), base_url=f"http://{LOCAL}")


def basic(login: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(login.encode()).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        {"host": LOCAL},
        {"host": "localhost:7860"},
        {"host": "LocalHost:7860"},
        {"host": "[::1]:7860"},
        {"host": "localhost"},
        {"host": "localhost:9000"},  # ssh -L 9000:localhost:7860
        {"host": "localhost:9000", "origin": "http://localhost:9000", "sec-fetch-site": "same-origin"},
        {"host": LOCAL, "origin": f"http://{LOCAL}"},
        {"host": "localhost", "origin": "http://localhost"},
        {"host": "localhost:80", "origin": "http://localhost"},
        {"host": "localhost", "origin": "https://localhost"},
        {"host": LOCAL, "sec-fetch-site": "none", **PAGE_VISIT},
        {"host": LOCAL, "sec-fetch-site": "cross-site", **PAGE_VISIT},  # a link in somebody's notes
    ],
)
def test_an_ordinary_request_is_answered(headers):
    assert guarded().get("/", headers=headers).text == "secret"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"host": "rebound.example:7860"}, "not served under the name rebound.example"),
        ({"host": "127.0.0.1.rebound.example"}, "not served"),
        ({"host": "192.168.1.5:7860"}, "not served"),
        ({"host": ""}, "not served"),
        ({"origin": "http://other.example"}, "another site, http://other.example"),
        ({"origin": "http://127.0.0.1:8888"}, "another site"),
        ({"origin": "http://localhost:7860"}, "another site"),
        ({"origin": "null"}, "another site"),
        ({"origin": "file://"}, "another site"),
        ({"origin": "http://127.0.0.1"}, "another site"),
        ({"sec-fetch-site": "cross-site"}, "another site"),
        ({"sec-fetch-site": "same-site"}, "another site"),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, "another site"),
    ],
)
def test_a_hostile_request_is_refused_with_the_reason(headers, reason):
    answer = guarded().get("/", headers={"host": LOCAL, **headers})
    assert answer.status_code == 403
    assert reason in answer.text


def test_another_site_may_lead_a_person_to_the_page_but_to_nothing_else():
    visit = {"sec-fetch-site": "cross-site", **PAGE_VISIT}
    assert guarded().get("/gradio_api/queue/data", headers=visit).status_code == 403
    assert guarded().post("/", headers=visit).status_code == 403


def test_two_host_headers_are_refused():
    answer = guarded().get("/", headers=[("host", LOCAL), ("host", LOCAL)])
    assert answer.status_code == 403


def test_no_other_site_may_frame_the_page():
    assert guarded().get("/").headers["x-frame-options"] == "SAMEORIGIN"


def test_a_page_served_under_a_name_answers_to_it_and_to_addresses_only():
    client = guarded(host="gpubox.lan", login="me:secret")
    for host, status in [("gpubox.lan:7860", 200), ("192.168.1.5:7860", 200), ("rebound.example:7860", 403)]:
        assert client.get("/", headers={"host": host, **basic("me:secret")}).status_code == status


def test_a_page_on_all_interfaces_answers_to_any_name_with_the_login():
    client = guarded(host="0.0.0.0", login="me:secret")
    assert client.get("/", headers={"host": "gpubox.lan:7860", **basic("me:secret")}).status_code == 200
    assert client.get("/", headers={"host": "gpubox.lan:7860"}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("me:wrong"),
        basic("me"),
        basic(""),
        basic("me:secret "),
        {"authorization": "Bearer me:secret"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic"},
    ],
)
def test_without_the_login_nothing_is_served_and_the_browser_asks_for_it(headers):
    answer = guarded(login="me:secret").get("/anything", headers=headers)
    assert (answer.status_code, "secret" in answer.text) == (401, False)
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_login_may_hold_colons_and_any_letters():
    assert guarded(login="わたし:pass:word").get("/", headers=basic("わたし:pass:word")).status_code == 200


def test_a_web_socket_passes_the_same_guard():
    def receive(headers, login=""):
        with guarded(login=login).websocket_connect("/live", headers={"host": LOCAL, **headers}) as connection:
            return connection.receive_text()

    assert receive({"origin": f"http://{LOCAL}"}) == "secret"
    for headers, login in [({"host": "rebound.example"}, ""), ({"origin": "http://other.example"}, ""), ({}, "a:b")]:
        with pytest.raises(WebSocketDisconnect):
            receive(headers, login)
