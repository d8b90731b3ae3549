"""The texts of the page: the same in every language, all in use, and none missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from backend.config.configuration import all_options
from backend.config.schema import GROUPS
from gui.texts import LANGUAGES, SERVER_ONLY, texts_of, wanted_language

GUI = Path(__file__).resolve().parents[2] / "gui"
TRANSLATIONS = [language for language in LANGUAGES if language != "en"]


def names(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each text with its name."""
    for key, inner in tree.items():
        if isinstance(inner, Mapping):
            yield from names(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def shown(language: str) -> dict[str, str]:
    """The texts that stand in both languages' files; those of SERVER_ONLY have their English in the backend."""
    return {name: text for name, text in names(texts_of(language).tree) if name.split(".")[0] not in SERVER_ONLY}


def sources() -> str:
    files = [*GUI.rglob("*.py"), *(GUI / "assets").rglob("*.js")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def is_used(name: str, source: str) -> bool:
    """Whether the text is named in full, or looked up in a branch that it belongs to.

    In a script `texts.kinds[kind]`, `Object.keys(texts.kinds)` or `fillCount(texts.steps, 3)`, in Python
    `texts(f"kinds.{kind}")` or `texts.count("steps", 3)`.
    """
    parts = name.split(".")
    branches = [".".join(parts[:length]) for length in range(1, len(parts))]
    looked_up = "|".join(rf"{re.escape(branch)}(?:[\[),]|\.\{{|\",)" for branch in branches)
    use = rf"(?<![\w.]){re.escape(name)}(?![\w.])|\b(?:{looked_up})"
    return re.search(use, source.replace("texts.", "")) is not None


def named_texts(source: str) -> set[str]:
    """Each text that the sources name in full."""
    return {match[1] for match in re.finditer(r"""\btexts(?:\.count)?\(\s*"([a-z_0-9.]+)\"""", source)} | {
        match[1] for match in re.finditer(r"\btexts\.([a-z_0-9]+(?:\.[a-z_0-9]+)+)\b(?![\[(])", source)
    }


def test_every_text_is_used():
    source = sources()
    assert [name for name in shown("en") if not is_used(name, source)] == []


def test_every_named_text_exists():
    known = set(shown("en"))
    branches = {name.rsplit(".", depth)[0] for name in known for depth in range(1, name.count(".") + 1)}
    assert sorted(name for name in named_texts(sources()) if name not in known | branches) == []


def test_a_counted_text_has_one_for_1_and_one_for_all_others():
    known = set(shown("en"))
    counted = re.findall(r"""\bfillCount\(texts\.([\w.]+)[,\[]|\btexts\.count\(\s*"([\w.]+)\"""", sources())
    for name in {script or python for script, python in counted}:
        of_name = {text.rpartition(".")[2] for text in known if text.startswith(f"{name}.")}
        assert {"one", "other"} <= of_name, name


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_has_every_text_and_no_other(language):
    assert shown(language).keys() == shown("en").keys()


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translation_has_the_placeholders_of_its_original(language):
    def placeholders(text: str) -> list[str]:
        return sorted(set(re.findall(r"\{(\w+)\}", text)))

    translated = shown(language)
    broken = [name for name, text in shown("en").items() if placeholders(text) != placeholders(translated[name])]
    assert broken == []


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        (None, "ja,en-US;q=0.9,en;q=0.8", "ja"),
        (None, "en-US,en;q=0.9,ja;q=0.8", "en"),
        (None, "de;q=0.9,ja-JP;q=0.5,en;q=0.1", "ja"),
        (None, "fr,de", "en"),
        (None, "", "en"),
        (None, "ja;q=much,en;q=0.1", "en"),
        ("en", "ja", "en"),
        ("xx", "ja", "ja"),
    ],
)
def test_the_language_is_the_chosen_one_else_the_one_that_the_browser_likes_best(chosen, accepted, language):
    assert wanted_language(chosen=chosen, accepted=accepted) == language


def test_a_text_is_filled_in():
    texts = texts_of("en")
    assert texts("monitor.step_of", step="3", total="10") == "3 / 10"


def test_an_unknown_text_is_an_error():
    with pytest.raises(KeyError):
        texts_of("en")("monitor.nothing")


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_every_option_section_and_unit_is_translated_and_nothing_else(language):
    translated = texts_of(language).tree["options"]
    options = all_options()
    assert translated.keys() - {"sections", "units"} == options.keys()
    assert translated["sections"].keys() == GROUPS.keys()
    assert translated["units"].keys() == {declared.unit for declared in options.values()} - {""}
    assert all(texts.keys() == {"label", "help"} for name, texts in translated.items() if name in options)


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_translated_help_names_the_same_values_as_the_original(language):
    """Names of options, choices and numbers are what a user types; they stay as they are."""
    translated = texts_of(language)
    lost = [
        (name, word)
        for name, declared in all_options().items()
        for word in re.findall(r"\b(?:[a-z0-9]+_[a-z0-9_]+|\d+(?:\.\d+)?)\b", declared.help)
        if word not in translated.option_help(declared)
    ]
    assert lost == []
