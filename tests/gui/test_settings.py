"""The user's settings: kept as given, refused with a reason, and the start of a new form."""

from __future__ import annotations

import pytest

from backend.config.configuration import all_options
from backend.errors import OptionError
from gui.form import Draft, form_of
from gui.settings import SETTINGS_FILE, Settings, read_settings, write_settings


def test_settings_come_back_as_they_were_kept(tmp_path):
    settings = Settings({"dit": r"C:\models\dit.safetensors", "vae": "/models/映像 vae.pt"}, (str(tmp_path),))
    write_settings(tmp_path, settings)
    assert read_settings(tmp_path) == settings


def test_there_are_none_at_first(tmp_path):
    assert read_settings(tmp_path) == Settings()


def test_empty_texts_count_as_not_given(tmp_path):
    assert Settings.from_values({"prefilled": {"dit": "  ", "vae": " a.pt "}, "allowed_roots": ["", " "]}) == Settings(
        {"vae": "a.pt"}
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prefilled": {"learning_rate": "1"}}, "there is no setting learning_rate"),
        ({"prefilled": {"dit": 3}}, "dit: a path is wanted"),
        ({"prefilled": {"dit": "a\nb"}}, "dit: a path is wanted"),
        ({"prefilled": []}, "not laid out as settings.toml is"),
        ({"allowed_roots": "all"}, "not laid out as settings.toml is"),
        ({"allowed_roots": [3]}, "a list of folders is wanted"),
        ({"allowed_roots": ["photos"]}, "photos: is no absolute path"),
    ],
)
def test_what_does_not_work_is_refused(values, message):
    with pytest.raises(OptionError, match=message):
        Settings.from_values(values)


def test_a_folder_that_is_not_there_is_not_kept_but_may_go_away_later(tmp_path):
    with pytest.raises(OptionError, match="gone: no such folder"):
        write_settings(tmp_path, Settings(allowed_roots=(str(tmp_path / "gone"),)))
    (tmp_path / "drive").mkdir()
    write_settings(tmp_path, Settings(allowed_roots=(str(tmp_path / "drive"),)))
    (tmp_path / "drive").rmdir()
    assert read_settings(tmp_path).allowed_roots == (str(tmp_path / "drive"),)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(OptionError) as error:
        Settings.from_values({"prefilled": {"dit": 3, "vae": 4}, "allowed_roots": ["photos"]})
    assert len(error.value.problems) == 3


def fields(workspace):
    return dict(zip(all_options(), Draft(workspace).load(), strict=True))


def test_a_new_form_begins_with_the_settings(tmp_path):
    write_settings(tmp_path, Settings({"dit": "/models/dit.pt", "output_dir": "/loras"}))
    assert (fields(tmp_path)["dit"], fields(tmp_path)["output_dir"]) == ("/models/dit.pt", "/loras")


def test_a_form_that_was_edited_keeps_what_was_typed(tmp_path):
    write_settings(tmp_path, Settings({"dit": "/models/dit.pt"}))
    Draft(tmp_path).save(form_of({"vae": "/mine.pt"}))
    assert (fields(tmp_path)["dit"], fields(tmp_path)["vae"]) == ("", "/mine.pt")


def test_a_form_opens_although_the_settings_are_broken(tmp_path):
    (tmp_path / SETTINGS_FILE).write_text("prefilled = 3\n", encoding="utf-8")
    assert fields(tmp_path)["dit"] == ""


def test_the_page_keeps_settings_and_tells_mistakes_in_its_language(serve_page, tmp_path):
    client = serve_page().client
    given = {"prefilled": {"dit": "/models/dit.pt"}, "allowed_roots": [str(tmp_path)]}
    assert client.post("/settings", json=given).json() == {"problems": []}
    told = client.get("/settings").json()
    assert (told["prefilled"]["dit"], told["allowed_roots"]) == ("/models/dit.pt", [str(tmp_path)])
    refused = client.post("/settings", json={"allowed_roots": ["photos"]}, headers={"accept-language": "ja"})
    assert (refused.status_code, refused.json()["problems"][0]["option"]) == (422, "allowed_roots")
    assert "絶対パスではありません" in refused.json()["problems"][0]["message"]
    assert read_settings(tmp_path).prefilled == {"dit": "/models/dit.pt"}


def test_a_broken_file_is_told_and_can_be_written_anew(serve_page, tmp_path):
    (tmp_path / SETTINGS_FILE).write_text("prefilled = 3\n", encoding="utf-8")
    client = serve_page().client
    assert "not laid out" in client.get("/settings").json()["problems"][0]["message"]
    assert client.post("/settings", json={"prefilled": {}, "allowed_roots": []}).status_code == 200
    assert client.get("/settings").json()["problems"] == []


@pytest.mark.parametrize("body", ["", "[]", "{", "\xff"])
def test_a_body_that_is_no_object_is_refused(serve_page, body):
    assert serve_page().client.post("/settings", content=body.encode("latin-1")).status_code == 400
