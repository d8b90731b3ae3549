"""The page as Gradio is told to build it."""

import pytest

from backend.config.configuration import all_options
from gui.gradio_import import prepare_gradio
from gui.texts import LANGUAGES, texts_of


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_event_lets_gradio_show_progress_on_the_fields_of_the_form(tmp_path, language):
    prepare_gradio(tmp_path / "uploads")
    from gui.page import build_page

    config = build_page(tmp_path, texts_of(language)).get_config_file()
    fields = {part["id"] for part in config["components"] if part["props"].get("elem_id") in all_options()}
    assert len(fields) == len(all_options())
    writing = [event for event in config["dependencies"] if fields & set(event["outputs"])]
    assert writing
    for event in writing:
        assert event["show_progress_on"] and not fields & set(event["show_progress_on"])
