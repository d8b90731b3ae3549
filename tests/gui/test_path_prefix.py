import pytest

from backend.errors import InputError
from gui.path_prefix import read_prefix


@pytest.mark.parametrize(("text", "prefix"), [("/loom", "/loom"), ("loom/", "/loom"), ("/a/b-c", "/a/b-c"), ("/", "")])
def test_a_prefix_is_read(text, prefix):
    assert read_prefix(text) == prefix


@pytest.mark.parametrize("text", ["/lo om", "/../x", "http://example.org/loom", "/loom?x", "/a//b", '/"x'])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(InputError, match="is no path"):
        read_prefix(text)


def test_the_page_answers_with_the_prefix_and_without_it(serve_page):
    client = serve_page(prefix="/loom1").client
    for start in ("/loom1/", "/"):  # a proxy may take it off
        page = client.get(start)
        assert page.status_code == 200
        assert '"root":"' in page.text
        assert f"127.0.0.1:{client.base_url.port}/loom1" in page.text
        assert client.get(f"{start}loom/loom.js").status_code == 200
        assert client.get(f"{start}runs").json()["rows"] == []
    redirect = client.get("/loom1")
    assert (redirect.status_code, redirect.headers["location"]) == (307, "/loom1/")
    assert client.get("/loom1/tensorboard").headers["location"] == "tensorboard/"
    assert client.get("/loom12/runs").status_code == 404


def test_other_sites_are_refused_under_a_prefix_too(serve_page):
    client = serve_page(prefix="/loom1").client
    assert client.post("/loom1/form/fields", json={}, headers={"origin": "http://other.example"}).status_code == 403
    assert client.get("/loom1/", headers={"host": "rebound.example"}).status_code == 403
