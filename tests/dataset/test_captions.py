"""Captions in bulk: what would change is told before, and no pattern holds the program up."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.dataset.captions import (
    add_trigger,
    caption_of_name,
    captions_from_names,
    phrase_counts,
    replace_in_captions,
    set_caption,
    word_counts,
)
from backend.dataset.items import MediaItem
from backend.errors import DatasetError


def items(*captions: str | None) -> list[MediaItem]:
    return [
        MediaItem(Path(f"{index}.png"), "image", str(index), caption, Path(f"{index}.txt"))
        for index, caption in enumerate(captions)
    ]


def results(changes) -> dict[str, str]:
    return {change.item.stem: change.after for change in changes}


def test_a_plain_text_is_found_as_it_stands() -> None:
    captions = items("a cat (1.5)", "a CAT", "a dog", None)

    assert results(replace_in_captions(captions, "(1.5)", r"\1")) == {"0": r"a cat \1"}
    assert results(replace_in_captions(captions, "cat", "lion", ignore_case=True)) == {
        "0": "a lion (1.5)",
        "1": "a lion",
    }
    assert replace_in_captions(captions, "bird", "x") == []


def test_a_pattern_uses_its_groups_and_shows_what_was_before() -> None:
    (change,) = replace_in_captions(items("a cat, a dog"), r"a (\w+), a (?P<other>\w+)", r"\2 and \1", is_regex=True)

    assert (change.before, change.after) == ("a cat, a dog", "dog and cat")


@pytest.mark.parametrize(
    ("find", "replacement", "told"),
    [
        ("(", "x", "cannot be replaced"),
        ("a", r"\2", "cannot be replaced"),
        ("a", r"\g<", "cannot be replaced"),
        ("a{99999999999999}", "x", "cannot be replaced"),
        ("", "x", "nothing to find"),
    ],
)
def test_what_is_no_pattern_is_refused(find: str, replacement: str, told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        replace_in_captions(items("a"), find, replacement, is_regex=True)


def test_a_pattern_that_would_take_years_is_given_up() -> None:
    with pytest.raises(DatasetError, match="takes longer than"):
        replace_in_captions(items(*["a" * 60 + "!"] * 50), r"(a|aa|a?)+$", "x", is_regex=True)


def test_captions_cannot_be_made_to_fill_the_memory() -> None:
    with pytest.raises(DatasetError, match="would have 1000000 characters"):
        replace_in_captions(items("a" * 1000), "a", "b" * 1000)


def test_a_trigger_word_is_added_once() -> None:
    captions = items("a cat", "sks, a cat", "sksa", "", None)

    assert results(add_trigger(captions, " sks ")) == {"0": "sks, a cat", "2": "sks, sksa", "3": "sks"}
    assert results(add_trigger(captions, "sks", where="behind", separator=" ")) == {
        "0": "a cat sks",
        "1": "sks, a cat sks",
        "2": "sksa sks",
        "3": "sks",
    }
    with pytest.raises(DatasetError, match="no trigger word"):
        add_trigger(captions, "  ")


@pytest.mark.parametrize(
    ("stem", "caption"),
    [
        ("a_red-car_(12)", "a red car"),
        ("a red car 007", "a red car"),
        ("IMG_1234", "IMG"),
        ("0001", "0001"),
        ("赤い車_2", "赤い車"),
        ("file.final.v2", "file final v"),
    ],
)
def test_names_become_captions(stem: str, caption: str) -> None:
    assert caption_of_name(stem) == caption


def test_only_what_has_no_caption_file_gets_one_from_its_name() -> None:
    captions = items(None, "", "a cat", None)
    unreadable = MediaItem(Path("x.png"), "image", "x", None, Path("x.txt"), "the caption is not UTF-8")
    changes = captions_from_names([*captions, unreadable])

    assert [(change.item.stem, change.before, change.after) for change in changes] == [
        ("0", None, "0"),
        ("3", None, "3"),
    ]


def test_a_typed_caption_is_trimmed_and_changes_nothing_if_it_is_the_same() -> None:
    (item,) = items("a cat")

    assert results(set_caption(item, " a dog\n")) == {"0": "a dog"}
    assert set_caption(item, "a cat ") == []


def test_words_are_counted_once_a_caption() -> None:
    captions = ["A cat, a black cat", "the cat's toy", "猫、黒い猫"]

    assert word_counts(captions)[:2] == [("a", 1), ("black", 1)]
    assert dict(word_counts(captions))["cat"] == 1
    assert dict(word_counts(captions))["cat's"] == 1
    assert dict(phrase_counts(["1girl, solo, 1girl", "solo", ""])) == {"solo": 2, "1girl": 1}
    assert word_counts(["b a", "b"]) == [("b", 2), ("a", 1)]
