import base64
import re
from pathlib import Path

from gui.routes import CLOSED_PATHS
from gui.texts import LANGUAGES

LOGIN = {"authorization": "Basic " + base64.b64encode(b"me:secret").decode()}


def test_the_page_and_its_scripts_come_from_one_address(serve_page):
    client = serve_page().client
    page = client.get("/")
    assert '"title":"Tiny"' in page.text
    script = re.search(r'src="\./(assets/[^"]+\.js)"', page.text).group(1)
    assert "javascript" in client.get(f"/{script}").headers["content-type"]


def test_a_handler_of_the_page_answers_over_its_queue(serve_page):
    client = serve_page().client
    event = client.post("/gradio_api/call/greet", json={"data": ["Ada"]}).json()["event_id"]
    assert 'data: ["Hello Ada"]' in client.get(f"/gradio_api/call/greet/{event}").text


def test_the_queue_sleeps_longer_than_gradios_own_milliseconds(serve_page):
    page = serve_page()
    in_languages = page.application.state.pages.pages.values()
    queues = [application.routes[-1].app.get_blocks()._queue for application in in_languages]
    assert [queue.sleep_when_free for queue in queues] == [0.05] * len(LANGUAGES)
    assert [queue.progress_update_sleep_when_free for queue in queues] == [1.0] * len(LANGUAGES)


def test_what_shows_others_the_work_of_the_user_is_closed(serve_page):
    client = serve_page().client
    for path in [*CLOSED_PATHS, "/monitoring/summary", "/docs", "/redoc"]:
        for end in ("", "/"):
            answer = client.get(path.replace("{rest:path}", "x") + end, follow_redirects=True)
            assert (path, answer.status_code) in [(path, 403), (path, 404)]


def test_the_login_covers_every_route(serve_page):
    client = serve_page(login="me:secret").client
    paths = [
        "/",
        "/config",
        "/gradio_api/info",
        "/events/run",
        "/files/a.png",
        "/tensorboard/",
        "/logs/not_shown",
        "/runs",
        "/trainings",
        "/machine",
        "/wandb",
        "/bin",
        "/runs/x/log",
        "/runs/x/samples/a.png",
        "/loom/x.js",
        "/theme.css",
    ]
    assert [client.get(path).status_code for path in paths] == [401] * len(paths)
    assert client.post("/gradio_api/upload", files={"files": b"x"}).status_code == 401
    assert client.get("/", headers=LOGIN).status_code == 200
    assert client.get("/tensorboard/data/environment", headers=LOGIN).status_code == 200


def test_hostile_requests_reach_nothing_of_gradio(serve_page):
    client = serve_page().client
    upload = client.post("/gradio_api/upload", files={"files": b"x"}, headers={"origin": "http://other.example"})
    assert upload.status_code == 403
    assert client.get("/config", headers={"host": "rebound.example"}).status_code == 403


def test_the_files_of_the_machine_are_not_served(serve_page, tmp_path):
    (tmp_path / "draft.toml").write_text("private")
    client = serve_page().client
    for path in [tmp_path / "draft.toml", "/etc/passwd", "requirements.txt", "app.py"]:
        answer = client.get(f"/gradio_api/file={path}")
        assert answer.status_code in (403, 404)


def test_scripts_of_the_page_are_modules_that_the_browser_checks_for_changes(serve_page):
    client = serve_page().client
    script = next((Path(__file__).parents[2] / "gui" / "assets").glob("*.js"))
    answer = client.get(f"/loom/{script.name}")
    assert "javascript" in answer.headers["content-type"]
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get(f"/loom/{script.name}", headers={"if-none-match": answer.headers["etag"]})
    assert (answer.content, again.status_code) == (script.read_bytes(), 304)
    assert client.get("/loom/%2e%2e/server.py").status_code == 404


def test_the_page_speaks_the_language_of_its_browser_or_the_one_chosen_on_it(serve_page):
    client = serve_page().client

    def language_of(**headers: str) -> str:
        return re.search(r"documentElement\.lang = \W*(\w+)", client.get("/", headers=headers).text)[1]

    assert language_of() == "en"
    assert language_of(**{"accept-language": "ja,en;q=0.5"}) == "ja"
    assert language_of(**{"accept-language": "ja,en;q=0.5", "cookie": "loom-language=en"}) == "en"
