"""The preset that the form marks its differences from."""

from backend.config.configuration import all_options
from backend.config.presets import save_preset
from gui.form import form_of
from gui.loaded_preset import LoadedPreset
from gui.tabs.train_changes import ChangesHandlers
from gui.tabs.train_presets import PresetHandlers
from gui.texts import texts_of

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


def test_a_preset_that_is_renamed_goes_on_to_count_and_another_ones_new_name_changes_nothing(tmp_path):
    loaded = LoadedPreset(tmp_path)
    for name in ("first", "other"):
        save_preset(name, {"seed": 3}, workspace=tmp_path)
    loaded.remember("first")
    presets = PresetHandlers(tmp_path, ChangesHandlers(tmp_path, texts_of("en")), texts_of("en"))
    presets.rename("other", "another")
    assert presets.chosen_first() == "first"
    presets.rename("first", "second")
    assert (loaded.read()["title"], presets.chosen_first()) == ("second", "second")
    presets.delete("second")
    assert (loaded.read()["title"], presets.chosen_first()) == ("", "demo")


def test_a_name_that_no_preset_has_is_passed_over(tmp_path):
    LoadedPreset(tmp_path).remember("../none")
    assert not LoadedPreset(tmp_path).path.exists()


def test_the_route_answers_in_the_pages_language(tmp_path, serve_page):
    page = serve_page()
    assert page.client.get("/form/preset").json() == {"title": "", "fields": DEFAULTS}
    LoadedPreset(tmp_path).remember("gpu_24gb")
    japanese = page.client.get("/form/preset", headers={"accept-language": "ja"}).json()
    assert japanese["title"] == "24 GBのGPU"
