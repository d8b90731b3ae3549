"""What the backend says to people, in another language: its English sentences are known by their form.

The backend tells everything in English, as its log and command line stay English. A catalogue holds each sentence with
{1}, {2}, … in place of its values, and the same in the other language; tests read the sentences from the backend's
sources, so that none is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

PLACEHOLDER = re.compile(r"\{(\d+)\}")


class Messages:
    """A catalogue. translations: sentence with placeholders -> the same in the other language."""

    def __init__(self, translations: Mapping[str, str]) -> None:
        in_order = sorted(translations, key=lambda template: -len(PLACEHOLDER.sub("", template)))  # the most said first
        self._forms = [(_form(template), translations[template]) for template in in_order]
        self._translated = lru_cache(maxsize=4096)(self._translate)

    def __call__(self, message: str) -> str:
        """The message in the other language; as it is where the catalogue does not have it.

        A value that is a message itself, such as the reason behind a path, is translated too.
        """
        return self._translated(message)

    def _translate(self, message: str) -> str:
        for form, translation in self._forms:
            if match := form.fullmatch(message):
                values = [self._translated(value) for value in match.groups()]
                return _fill(translation, values)
        return message


def _fill(text: str, values: Sequence[str]) -> str:
    return PLACEHOLDER.sub(lambda place: values[int(place[1]) - 1], text)


def _form(template: str) -> re.Pattern[str]:
    parts = PLACEHOLDER.split(template)  # text, number, text, number, ..., text
    return re.compile("(.*?)".join(re.escape(text) for text in parts[::2]), re.DOTALL)
