"""The preset that the form marks its differences from."""

from backend.config.configuration import all_options
from gui.form import form_of
from gui.loaded_preset import LoadedPreset

DEFAULTS = dict(zip(all_options(), form_of({}), strict=True))


def test_without_a_preset_the_defaults_count(tmp_path):
    assert LoadedPreset(tmp_path).read() == {"title": "", "fields": DEFAULTS}


def test_a_preset_that_was_loaded_counts_also_after_a_restart(tmp_path):
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "mine.toml").write_text('learning_rate = 1e-5\n[preset]\ntitle = "Mine"\n', encoding="utf-8")
    LoadedPreset(tmp_path).remember("mine")
    assert LoadedPreset(tmp_path).read() == {"title": "Mine", "fields": {**DEFAULTS, "learning_rate": "1e-5"}}
    (folder / "mine.toml").unlink()
    assert LoadedPreset(tmp_path).read()["fields"] == DEFAULTS


def test_a_name_that_no_preset_has_is_passed_over(tmp_path):
    LoadedPreset(tmp_path).remember("../none")
    assert not LoadedPreset(tmp_path).path.exists()


def test_the_route_answers(serve_page):
    assert serve_page().client.get("/form/preset").json() == {"title": "", "fields": DEFAULTS}
