"""What lies in a dataset's folders, as the page gets it."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from backend.config.dataset import read_dataset_file
from backend.dataset.expected import expected_items
from backend.dataset.item_warnings import SENTENCES
from gui.form import Draft, form_of
from gui.texts import LANGUAGES, texts_of
from tests.dataset.media import write_latents, write_text
from tests.gui.dataset_project import make_dataset


@pytest.fixture
def path(tmp_path) -> str:
    return str(make_dataset(tmp_path))


@pytest.fixture
def client(serve_page):
    return serve_page().client


def inspect(client, path, **parameters) -> dict:
    while (told := client.get("/dataset/inspection", params={"path": path, **parameters}).json())["state"] == "running":
        parameters.pop("again", None)
        time.sleep(0.05)
    return told


def rows(client, path, **parameters) -> dict[str, dict]:
    inspect(client, path)
    told = client.get("/dataset/items", params={"path": path, **parameters}).json()
    return {row["name"]: row for row in told["rows"]}


def test_an_inspection_counts_what_training_will_see(client, path):
    told = inspect(client, path)
    assert (told["items"], told["pictures"], told["missing"]) == (5, 3, 3)
    assert [(group["dataset"], group["frames"], group["batches"]) for group in told["groups"]] == [
        *((1, None, 2), (1, None, 2)),
        *((2, 1, 1), (2, 5, 1)),
    ]
    assert told["batches"] == 6
    labels = {warning["id"]: warning["count"] for warning in told["warnings"]}
    assert (labels["unreadable"], labels["caption_missing"]) == (1, 1)


def test_each_item_has_a_row(client, path):
    found = rows(client, path)
    assert found["ada red.png"]["size"] == [96, 64] and found["ada red.png"]["cache"] == "missing"
    assert (found["run.mp4"]["frames"], found["run.mp4"]["fps"]) == (9, 24.0)
    assert found["broken.mp4"]["size"] is None and found["cat.png"]["caption"] is None


def test_rows_are_filtered_and_given_in_parts(client, path):
    assert [*rows(client, path, filter="unreadable")] == ["broken.mp4"]
    assert [*rows(client, path, search="CHAIR")] == ["bob.png"]
    assert [*rows(client, path, start="1", count="2")] == ["bob.png", "cat.png"]


def test_an_item_tells_its_windows_crop_and_warnings_in_the_pages_language(client, path):
    found = rows(client, path)
    told = client.get("/dataset/item", params={"path": path, "item": found["run.mp4"]["item"]}).json()
    assert told["windows"] == [[0, 1], [0, 5]] and told["crop"]["scale"] == 1.0
    query = {"path": path, "item": found["cat.png"]["item"]}
    warnings = client.get("/dataset/item", params=query, headers={"accept-language": "ja"}).json()["warnings"]
    assert warnings[0]["text"] == "キャプションがないため、学習に使われません。"


def test_pictures_come_small_as_trained_and_as_they_are(client, path):
    found = rows(client, path)
    query = {"path": path, "item": found["run.mp4"]["item"]}
    small = client.get("/dataset/thumbnail", params=query)
    assert Image.open(io.BytesIO(small.content)).size == (64, 64)
    seen = Image.open(io.BytesIO(client.get("/dataset/seen", params={**query, "frame": "4"}).content))
    assert seen.size == tuple(found["run.mp4"]["bucket"]) and abs(seen.getpixel((9, 9))[0] - 80) < 8
    clip = client.get("/dataset/media", params=query, headers={"range": "bytes=0-9"})
    assert (clip.status_code, clip.headers["content-type"], len(clip.content)) == (206, "video/mp4", 10)


@pytest.mark.parametrize("route", ["item", "thumbnail", "seen", "media"])
@pytest.mark.parametrize("item", ["99", "-1", "x", ""])
def test_an_item_that_is_not_there_is_told(client, path, route, item):
    inspect(client, path)
    assert client.get(f"/dataset/{route}", params={"path": path, "item": item}).status_code == 422


def test_what_cannot_be_read_is_told_in_place_of_a_thumbnail(client, path):
    item = rows(client, path)["broken.mp4"]["item"]
    answer = client.get("/dataset/thumbnail", params={"path": path, "item": item})
    assert answer.status_code == 422 and "broken.mp4" in answer.json()["problems"][0]["message"]


def test_a_look_again_sees_what_is_new(client, path, tmp_path):
    inspect(client, path)
    (tmp_path / "pictures" / "cat.txt").write_text("a cat", encoding="utf-8")
    told = inspect(client, path, again="1")
    assert (told["number"], told["missing"]) == (2, 4)


def test_a_dataset_whose_media_lie_elsewhere_is_not_shown(client, tmp_path):
    path = tmp_path / "d.toml"
    path.write_text("[[datasets]]\nimage_directory = '/etc'\ncache_directory = 'c'\n", encoding="utf-8")
    for _ in range(200):
        answer = client.get("/dataset/inspection", params={"path": str(path)})
        if answer.status_code != 200:
            break
        time.sleep(0.02)
    assert "/etc: lies where this page may not look" in answer.json()["problems"][0]["message"]


def test_a_broken_file_is_told(client, tmp_path):
    (tmp_path / "d.toml").write_text("[[datasets]]\nimage_dir = 1\n", encoding="utf-8")
    for _ in range(200):
        answer = client.get("/dataset/inspection", params={"path": str(tmp_path / "d.toml")})
        if answer.status_code != 200:
            break
        time.sleep(0.02)
    assert "image_dir" in answer.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_warning_has_a_sentence_and_a_label(language):
    tree = texts_of(language).tree
    assert tree["item_warnings"].keys() == tree["item_labels"].keys() == SENTENCES.keys()


def test_thumbnails_are_made_without_being_asked_for_and_their_thread_ends_with_the_server(serve_page, path, tmp_path):
    page = serve_page()
    inspect(page.client, path)
    page.application.state.looks.thumbnails.wait()
    made = [Image.open(each).size for each in (tmp_path / "thumbnails").rglob("*.jpg")]
    assert sorted(made) == [(16, 16), (64, 64), (64, 64), (96, 64)]
    for index in range(200):
        Image.new("RGB", (2000, 1500), (index, 0, 0)).save(tmp_path / "pictures" / f"{index}.bmp")
    inspect(page.client, path, again="1")
    page.stop()
    assert "thumbnails" not in [thread.name for thread in threading.enumerate()]
    assert len([*(tmp_path / "thumbnails").rglob("*.jpg")]) < 204


def test_caches_by_another_text_encoder_than_the_form_names_are_stale(client, path, tmp_path):
    for dataset in read_dataset_file(Path(path)).datasets:
        for item in expected_items(dataset)[0]:
            write_latents(item.latent_path, item.bucket, item.frame_count or 1)
            write_text(item.text_path, caption=item.media.caption, metadata={"encoder_llm": "another"})
    assert inspect(client, path)["cached"] == 3
    encoder = tmp_path / "llama.safetensors"
    encoder.write_bytes(b"weights")
    Draft(tmp_path).save(form_of({"text_encoder1": str(encoder)}))
    told = inspect(client, path, again="1")
    assert (told["cached"], told["stale"]) == (0, 3)
    item = rows(client, path)["bob.png"]["item"]
    (problem,) = client.get("/dataset/item", params={"path": path, "item": item}).json()["cache_problems"]
    assert "llm was made by another text encoder (another, now " in problem["message"]
