import re

import pytest

from backend.runs.failure_texts import TEXTS
from backend.runs.failures import Failure
from gui.failure_words import told_failure
from gui.texts import LANGUAGES, texts_of

TRANSLATIONS = [language for language in LANGUAGES if language != "en"]


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_every_cause_is_translated_with_its_parameters(language):
    translated = texts_of(language).tree["failures"]
    assert translated.keys() == TEXTS.keys()
    for name, words in translated.items():
        assert placeholders(words["cause"]) == placeholders(TEXTS[name].cause), name
        assert placeholders(words["advice"]) == placeholders(TEXTS[name].advice), name


def test_a_failure_is_told_with_the_options_whose_change_helps():
    failure = Failure("needed_run", {"run": "20261122_cache", "state": "failed"}, ("a line",), {"blocks_to_swap": 20})
    told = told_failure(failure, texts_of("en"))
    assert told["sentence"] == "It was not started because it needs 20261122_cache, which is failed."
    assert told["evidence"] == ["a line"]
    assert told["changes"] == [
        {"option": "blocks_to_swap", "label": "Blocks to swap [blocks]", "value": "20", "given": 20}
    ]


def test_a_translated_failure_names_states_in_its_language():
    failure = Failure("needed_run", {"run": "20261122_cache", "state": "failed"})
    assert "失敗" in told_failure(failure, texts_of("ja"))["sentence"]
