"""Every text that the page shows, in the languages that it speaks, from gui/locales/*.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from backend.config.configuration import all_options
from backend.config.options import Option
from backend.config.toml_file import read_toml
from gui.messages import Messages

LOCALES = Path(__file__).parent / "locales"
"""Files named AREA.LANGUAGE.toml; those of one language are one tree, and no two have a branch in common."""

LANGUAGES = {"en": "English", "ja": "日本語"}
"""Code and own name of each language; the first is shown to whoever speaks none of them."""

LANGUAGE_COOKIE = "loom-language"
"""What a browser sends when its user has chosen a language on the page."""

SERVER_ONLY = ("options", "messages", "failures")
"""Branches that only the server shows; the page's scripts get all others."""


@dataclass(frozen=True)
class Texts:
    """The texts of one language. language: a key of LANGUAGES."""

    language: str
    tree: Mapping[str, Any]

    def __call__(self, name: str, **values: object) -> str:
        """The text of this name, `train.start`, with each {placeholder} filled in. Raises KeyError for no such text."""
        text: Any = self.tree
        for part in name.split("."):
            text = text[part]
        return fill(text, values)

    def count(self, name: str, number: int, **values: object) -> str:
        """The text for this number: `NAME.one` for 1, `NAME.other` for all others, with {count} filled in."""
        return self(f"{name}.{'one' if number == 1 else 'other'}", count=f"{number:,}", **values)

    def section(self, key: str, title: str) -> str:
        """The title of a section of the form; in English it is the option group's own."""
        return str(self._options("sections").get(key, title))

    def label(self, option: Option) -> str:
        """What an option is called."""
        return str(self._options(option.name).get("label", option.label))

    def option_label(self, option: Option) -> str:
        """The label of an option's field, with its unit: `Rank`, `Blocks to swap [blocks]`."""
        label = self.label(option)
        return f"{label} [{self._options('units').get(option.unit, option.unit)}]" if option.unit else label

    def option_help(self, option: Option) -> str:
        """What stands under an option's field; in English the help of its declaration."""
        return str(self._options(option.name).get("help", option.help))

    def _options(self, name: str) -> Mapping[str, str]:
        return self.tree.get("options", {}).get(name, {})

    def message(self, text: str) -> str:
        """A message or hint of the backend in this language; English stays as it is."""
        return _messages_of(self.language)(text)

    def for_scripts(self) -> dict[str, Any]:
        """What gui/assets/texts.js gets."""
        shown = {branch: texts for branch, texts in self.tree.items() if branch not in SERVER_ONLY}
        return {"language": self.language, "languages": LANGUAGES, **shown}


def fill(text: str, values: Mapping[str, object]) -> str:
    """The text with each {name} replaced by its value; a name without a value stays as it is."""
    return re.sub(r"\{(\w+)\}", lambda match: str(values.get(match[1], match[0])), text)


@cache
def texts_of(language: str) -> Texts:
    """The texts of a language of LANGUAGES. Raises ValueError where two files claim the same branch."""
    tree: dict[str, Any] = {}
    for path in sorted(LOCALES.glob(f"*.{language}.toml")):
        branches = read_toml(path)
        if twice := tree.keys() & branches.keys():
            raise ValueError(f"{path.name}: {', '.join(sorted(twice))} stands in another file already")
        tree |= branches
    return Texts(language, tree)


@cache
def _messages_of(language: str) -> Messages:
    texts = texts_of(language)
    labels = {option.label: texts.label(option) for option in all_options().values()}  # messages name options by them
    return Messages({**labels, **texts.tree.get("messages", {})})


def wanted_language(*, chosen: str | None, accepted: str) -> str:
    """The language to answer in.

    chosen: what the user has chosen on the page, if anything. accepted: the browser's Accept-Language header,
    `ja,en-US;q=0.9`, of which the language with the highest weight counts (RFC 9110, 12.5.4).
    """
    if chosen in LANGUAGES:
        return str(chosen)
    weights = [_weighted(part) for part in accepted.split(",")]
    for _, language in sorted(weights, key=lambda weighted: -weighted[0]):
        if language in LANGUAGES:
            return language
    return next(iter(LANGUAGES))


def _weighted(part: str) -> tuple[float, str]:
    """`ja-JP;q=0.8` -> (0.8, "ja"); a weight that is no number counts as none."""
    tag, _, quality = part.partition(";")
    language = tag.strip().lower().partition("-")[0]
    _, _, number = quality.partition("=")
    try:
        return float(number or 1.0), language
    except ValueError:
        return 0.0, language
