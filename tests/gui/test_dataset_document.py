"""The dataset file as a form: read, changed, refused and saved over the page's routes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gui.dataset_document import value_of
from tests.gui.dataset_project import make_dataset


@pytest.fixture
def client(serve_page):
    return serve_page().client


def problems(answer) -> str:
    return " | ".join(each["message"] for each in answer.json()["problems"])


def test_a_file_is_opened_changed_and_saved_with_its_comments(client, tmp_path):
    path = make_dataset(tmp_path)
    told = client.get("/dataset/document", params={"path": str(path)}).json()
    assert told["exists"] and told["problems"] == []
    assert [table["kind"] for table in told["tables"]] == ["general", "image", "video"]
    operations = [
        {"set": [0, "resolution", "96 x 64"]},
        {"set": [1, "num_repeats", ""]},
        {"set": [2, "batch_size", "2"]},
    ]
    told = client.post("/dataset/document", json={"text": told["text"], "operations": operations}).json()
    assert client.post("/dataset/save", json={"path": str(path), "text": told["text"]}).status_code == 200
    text = path.read_text(encoding="utf-8")
    assert "# mine" in text and "[96, 64]" in text and "# small" in text
    assert "num_repeats" not in text and "batch_size = 2" in text


def test_a_field_tells_its_value_and_what_counts_without_one(client, tmp_path):
    told = client.get("/dataset/document", params={"path": str(make_dataset(tmp_path))}).json()
    fields = {field["key"]: field for field in told["tables"][1]["fields"]}
    assert (fields["num_repeats"]["text"], fields["num_repeats"]["inherited"]) == ("2", "1")
    assert (fields["resolution"]["text"], fields["resolution"]["inherited"]) == ("", "64, 64")
    assert fields["enable_bucket"]["choices"] == ["true", "false"]
    assert "frame_extraction" not in fields


def test_a_control_folder_has_a_field_and_keys_of_other_models_stay_in_what_is_saved(client, tmp_path):
    path = make_dataset(tmp_path)
    text = path.read_text(encoding="utf-8").replace("num_repeats = 2", "num_repeats = 2\nfp_1f_no_post = true")
    operations = [{"set": [1, "control_directory", str(tmp_path / "gone")]}, {"set": [1, "batch_size", "2"]}]
    told = client.post("/dataset/document", json={"text": text, "operations": operations}).json()
    assert "control_directory" in [field["key"] for field in told["tables"][1]["fields"]]
    assert [(problem["key"], problem["severity"]) for problem in told["problems"]] == [
        *(("fp_1f_no_post", "warning"), ("control_directory", "warning"), ("control_directory", "warning"))
    ]
    assert client.post("/dataset/save", json={"path": str(path), "text": told["text"]}).status_code == 200
    saved = path.read_text(encoding="utf-8")
    assert "fp_1f_no_post = true" in saved and f"{tmp_path / 'gone'}" in saved


def test_labels_are_in_the_language_of_the_page(client, tmp_path):
    path = str(make_dataset(tmp_path))
    told = client.get("/dataset/document", params={"path": path}, headers={"accept-language": "ja"}).json()
    assert told["tables"][0]["fields"][0]["label"] in ("キャプションの拡張子", "解像度")


def test_mistakes_are_told_in_the_language_of_the_page(client, tmp_path):
    text = make_dataset(tmp_path).read_text(encoding="utf-8")
    body = {"text": text, "operations": [{"set": [1, "num_repeats", "0"]}]}
    told = client.post("/dataset/document", json=body, headers={"accept-language": "ja"}).json()
    assert told["problems"][0]["message"] == "データセット 1: num_repeats = 0 は使えません。1 以上を指定してください"


def test_a_wrong_value_stays_in_the_text_and_is_a_problem_of_its_key(client, tmp_path):
    text = make_dataset(tmp_path).read_text(encoding="utf-8")
    told = client.post("/dataset/document", json={"text": text, "operations": [{"set": [1, "num_repeats", "many"]}]})
    (problem,) = told.json()["problems"]
    assert (problem["dataset"], problem["key"], problem["severity"]) == (1, "num_repeats", "error")
    refused = client.post("/dataset/save", json={"path": str(tmp_path / "d.toml"), "text": told.json()["text"]})
    assert refused.status_code == 422 and not (tmp_path / "d.toml").exists()


def test_a_folder_is_turned_into_datasets(client, tmp_path):
    make_dataset(tmp_path)
    answer = client.post("/dataset/propose", json={"folder": str(tmp_path / "clips")}).json()
    proposed, file = answer["datasets"], Path(answer["file"])
    assert file.name == "clips.toml"
    file.parent.mkdir()
    file.touch()
    again = client.post("/dataset/propose", json={"folder": str(tmp_path / "clips")}).json()
    assert Path(again["file"]).name == "clips 2.toml"
    assert [(each["kind"], each["counted"], each["unreadable"]) for each in proposed] == [("video", 2, 1)]
    told = client.post("/dataset/document", json={"text": "", "operations": [{"add": proposed[0]["values"]}]}).json()
    assert [table["kind"] for table in told["tables"]] == ["general", "video"]
    assert (
        client.post("/dataset/save", json={"path": str(tmp_path / "new.toml"), "text": told["text"]}).status_code == 200
    )


@pytest.mark.parametrize("path", ["/etc/passwd.toml", "/", ""])
def test_no_file_outside_of_the_allowed_folders_is_opened_or_written(client, path):
    assert client.get("/dataset/document", params={"path": path}).status_code == 422
    assert client.post("/dataset/save", json={"path": path, "text": ""}).status_code == 422
    assert client.post("/dataset/propose", json={"folder": path}).status_code == 422


@pytest.mark.parametrize(
    "operation", [{"set": [9, "batch_size", "1"]}, {"set": [0, "no_key", "1"]}, {"remove": 3}, {"add": 1}, "x", {}]
)
def test_an_operation_that_makes_no_sense_is_refused(client, tmp_path, operation):
    text = make_dataset(tmp_path).read_text(encoding="utf-8")
    assert client.post("/dataset/document", json={"text": text, "operations": [operation]}).status_code == 422


@pytest.mark.parametrize("body", [b"", b"[]", b'{"text": 3, "operations": []}', b'{"text": ""}'])
def test_a_request_that_is_not_what_is_wanted_is_refused(client, body):
    assert client.post("/dataset/document", content=body).status_code == 422


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("batch_size", " 2 ", 2),
        ("batch_size", "two", "two"),
        ("batch_size", "", None),
        ("enable_bucket", "false", False),
        ("enable_bucket", "maybe", "maybe"),
        ("resolution", "960x544", [960, 544]),
        ("resolution", "[960, 544]", [960, 544]),
        ("resolution", "512", 512),
        ("resolution", "512, 384, 3", [512, 384, 3]),
        ("target_frames", "25", [25]),
        ("target_frames", "1, 25 45", [1, 25, 45]),
        ("target_frames", "1, all", "1, all"),
        ("source_fps", "29.97", 29.97),
        ("image_directory", r"C:\my photos", r"C:\my photos"),
        ("caption_extension", ".txt", ".txt"),
    ],
)
def test_a_fields_text_becomes_a_value_of_its_key(key, text, value):
    assert value_of(key, text) == value


def test_caches_of_a_folder_that_cannot_be_written_to_are_proposed_in_the_workspace(client, tmp_path):
    make_dataset(tmp_path)
    folder = tmp_path / "pictures"
    folder.chmod(0o555)
    (proposed,) = client.post("/dataset/propose", json={"folder": str(folder)}).json()["datasets"]
    folder.chmod(0o755)
    is_writable = os.geteuid() == 0  # to the superuser everything is
    cache = proposed["values"].get("cache_directory")
    assert cache is None if is_writable else Path(cache).parent == tmp_path / "caches"
