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
        assert [*map(placeholders, words.get("exact", []))] == [*map(placeholders, TEXTS[name].exact)], name


def test_a_failure_is_told_with_the_options_whose_change_helps():
    failure = Failure("needed_run", {"run": "20261122_cache", "state": "failed"}, ("a line",), {"blocks_to_swap": 20})
    told = told_failure(failure, texts_of("en"))
    assert told["sentence"] == "It was not started because it needs 20261122_cache, which is failed."
    assert told["evidence"] == ["a line"]
    assert told["changes"] == [
        {"option": "blocks_to_swap", "label": "Blocks to swap [blocks]", "value": "20", "given": 20}
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_names_no_number_that_is_not_known(language):
    sizes = {"wanted": "2.00 GiB", "free": "1.20 GiB", "total": "24.00 GiB"}
    for known in (sizes, {"wanted": "2.00 GiB"}, {"free": "1.20 GiB"}, {}):
        sentence = told_failure(Failure("gpu_out_of_memory", known), texts_of(language))["sentence"]
        shown = {size for size in sizes.values() if size in sentence}
        assert shown == (set(known.values()) if "wanted" in known else set()) and "{" not in sentence


def test_a_translated_failure_names_states_in_its_language():
    failure = Failure("needed_run", {"run": "20261122_cache", "state": "failed"})
    assert "失敗" in told_failure(failure, texts_of("ja"))["sentence"]
