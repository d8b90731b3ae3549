"""Captions changed over the page's routes: one, many with a preview, and back again."""

from __future__ import annotations

import pytest

from tests.gui.dataset_project import make_dataset
from tests.gui.test_dataset_items import inspect, rows


@pytest.fixture
def path(tmp_path) -> str:
    return str(make_dataset(tmp_path))


@pytest.fixture
def client(serve_page, path):
    client = serve_page().client
    inspect(client, path)
    return client


def caption(tmp_path, name: str) -> str:
    return (tmp_path / name).read_text(encoding="utf-8")


def test_one_caption_is_written_at_once_and_can_be_undone(client, path, tmp_path):
    item = rows(client, path)["bob.png"]["item"]
    told = client.post("/dataset/caption", json={"path": path, "item": item, "caption": " a green thing "}).json()
    assert told == {"written": 1, "undo": {"what": "bob.png", "count": 1}}
    assert caption(tmp_path, "pictures/bob.txt") == rows(client, path)["bob.png"]["caption"] == "a green thing"
    assert client.post("/dataset/captions/undo", json={"path": path}).json() == {"undone": 1, "undo": None}
    assert caption(tmp_path, "pictures/bob.txt") == "a blue thing, on a chair"


def test_a_change_of_many_is_shown_before_it_is_written(client, path, tmp_path):
    change = {
        "kind": "replace",
        "find": r"a (\w+) thing",
        "replacement": r"the \1 toy",
        "is_regex": True,
        "ignore_case": False,
    }
    told = client.post("/dataset/captions/preview", json={"path": path, "change": change}).json()
    assert told["count"] == 3 and told["changes"][0]["after"] == "the red toy, on a table"
    assert caption(tmp_path, "pictures/bob.txt") == "a blue thing, on a chair"
    written = client.post("/dataset/captions/write", json={"path": path, "change": change, "count": 3}).json()
    assert written["written"] == 3 and caption(tmp_path, "clips/run.txt") == "the red toy runs"
    assert client.post("/dataset/captions/undo", json={"path": path}).json()["undone"] == 3
    assert caption(tmp_path, "clips/run.txt") == "a red thing runs"


def test_nothing_is_written_if_something_else_was_shown(client, path, tmp_path):
    change = {"kind": "trigger", "word": "mimi", "where": "front"}
    refused = client.post("/dataset/captions/write", json={"path": path, "change": change, "count": 99})
    assert refused.status_code == 422 and caption(tmp_path, "clips/run.txt") == "a red thing runs"


def test_missing_captions_are_made_from_names(client, path, tmp_path):
    change = {"kind": "names"}
    assert client.post("/dataset/captions/preview", json={"path": path, "change": change}).json()["count"] == 1
    client.post("/dataset/captions/write", json={"path": path, "change": change, "count": 1})
    assert caption(tmp_path, "pictures/cat.txt") == "cat"


def test_a_caption_that_something_else_has_changed_is_not_overwritten(client, path, tmp_path):
    item = rows(client, path)["bob.png"]["item"]
    (tmp_path / "pictures" / "bob.txt").write_text("changed elsewhere", encoding="utf-8")
    refused = client.post("/dataset/caption", json={"path": path, "item": item, "caption": "mine"})
    assert refused.status_code == 422 and "changed since" in refused.json()["problems"][0]["message"]
    assert caption(tmp_path, "pictures/bob.txt") == rows(client, path)["bob.png"]["caption"] == "changed elsewhere"


def test_words_and_phrases_are_counted(client, path):
    told = client.get("/dataset/words", params={"path": path}).json()
    assert told["words"][:2] == [["a", 3], ["thing", 3]]
    assert ["on a table", 1] in told["phrases"]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"kind": "replace"},
        {"kind": "trigger", "word": "x", "where": "middle"},
        {"kind": "trigger", "word": " ", "where": "front"},
    ],
)
def test_a_change_that_is_none_is_refused(client, path, change):
    assert client.post("/dataset/captions/preview", json={"path": path, "change": change}).status_code == 422


def test_a_hostile_pattern_ends(client, path, tmp_path):
    (tmp_path / "pictures" / "cat.txt").write_text("a" * 5000 + "!", encoding="utf-8")
    inspect(client, path, again="1")
    change = {"kind": "replace", "find": "(a+)+$", "replacement": "", "is_regex": True, "ignore_case": False}
    assert client.post("/dataset/captions/preview", json={"path": path, "change": change}).status_code == 422
