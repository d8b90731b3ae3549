"""What the backend says to people: each sentence has a translation, and is known again with its values."""

from __future__ import annotations

import re

import pytest

from gui.messages import Messages
from gui.texts import LANGUAGES, texts_of
from tests.gui.told_messages import messages

TRANSLATIONS = [language for language in LANGUAGES if language != "en"]


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_each_message_is_translated_and_nothing_else(language):
    said, translated = messages(), texts_of(language).tree["messages"]
    assert {template: path for template, path in said.items() if template not in translated} == {}
    assert sorted(translated.keys() - said.keys()) == []


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_names_each_value_of_its_original(language):
    def values(text: str) -> set[str]:
        return set(re.findall(r"\{\d+\}", text))

    translated = texts_of(language).tree["messages"]
    assert [template for template, text in translated.items() if values(template) != values(text)] == []


def test_the_values_of_a_message_stay_in_its_translation():
    translate = Messages({"{1}: {2} frames, but {3} are wanted": "{1}: {3} フレーム必要ですが {2} です"})
    assert translate("clips/a.mp4: 12 frames, but 25 are wanted") == "clips/a.mp4: 25 フレーム必要ですが 12 です"


def test_the_more_exact_of_two_sentences_is_taken():
    translate = Messages({"{1}: {2}": "{1}（{2}）", "{1}: no such folder": "{1} というフォルダーはありません"})
    assert translate("clips: no such folder") == "clips というフォルダーはありません"


def test_a_message_inside_a_message_is_translated_too():
    translate = Messages(
        {"{1}: cannot be read: {2}": "{1}を読めません: {2}", "no such folder": "フォルダーがありません"}
    )
    assert translate("a.toml: cannot be read: no such folder") == "a.tomlを読めません: フォルダーがありません"


@pytest.mark.parametrize(
    ("message", "japanese"),
    [
        ("Rank (network_dim) is 'sixteen'", "ランク（network_dim）が 'sixteen' です"),
        ("Rank (network_dim) is empty", "ランク（network_dim）が空です"),
        (
            "/a.safetensors: this seems to be: Wan transformer",
            "/a.safetensors: 次のもののようです: Wanのトランスフォーマー",
        ),
    ],
)
def test_options_and_kinds_of_files_inside_a_message_have_their_own_names(message, japanese):
    assert texts_of("ja").message(message) == japanese


def test_an_unknown_message_stays_as_it_is():
    assert Messages({"one thing": "ひとつ"})("another thing\nin two lines") == "another thing\nin two lines"


def test_english_stays_as_it_is():
    assert texts_of("en").message("no dataset is chosen") == "no dataset is chosen"
