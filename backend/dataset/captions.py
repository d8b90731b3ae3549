"""Captions changed by hand or in bulk: what would change, as a preview; `caption_files.py` writes it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import regex

from backend.dataset.items import MediaItem
from backend.errors import DatasetError

MOST_SECONDS = 1.0
"""How long a pattern may take over all captions; one such as (a+)+$ would take years on some."""

MOST_CHARACTERS = 100_000
"""No caption may grow beyond this; a replacement could double it again and again."""


@dataclass(frozen=True)
class CaptionChange:
    """One caption as it is and as it would be; before is None where there is no caption yet."""

    item: MediaItem
    before: str | None
    after: str


def replace_in_captions(
    items: Iterable[MediaItem], find: str, replacement: str, *, is_regex: bool = False, ignore_case: bool = False
) -> list[CaptionChange]:
    """What finding and replacing would change, in the order of the items; spaces at both ends of a result are cut off.

    is_regex: find is a regular expression, and \\1 or \\g<name> in the replacement is what a group has found.
    Raises DatasetError for a pattern or a replacement that is none, or that takes longer than MOST_SECONDS.
    """
    if not find:
        raise DatasetError("nothing to find is given", hint="type a text, or a pattern")
    try:
        pattern = regex.compile(find if is_regex else regex.escape(find), regex.IGNORECASE if ignore_case else 0)
        substitute = partial(pattern.sub, replacement if is_regex else lambda _match: replacement)
        return _within(MOST_SECONDS, substitute, items)
    except TimeoutError as error:
        raise DatasetError(
            f'"{find}" takes longer than {MOST_SECONDS:g} s on these captions', hint="write a simpler pattern"
        ) from error
    except (regex.error, IndexError, OverflowError, RecursionError, MemoryError) as error:
        raise DatasetError(f'"{find}" cannot be replaced by "{replacement}": {error}', hint="mend it") from error


def add_trigger(
    items: Iterable[MediaItem], word: str, *, where: Literal["front", "behind"] = "front", separator: str = ", "
) -> list[CaptionChange]:
    """A word put in front of or behind every caption that does not have it there already."""
    word = word.strip()
    if not word:
        raise DatasetError("no trigger word is given", hint="type a word")

    def with_word(caption: str) -> str:
        if not caption:
            return word
        if where == "front":
            return caption if _begins_with(caption, word) else f"{word}{separator}{caption}"
        return caption if _begins_with(caption[::-1], word[::-1]) else f"{caption}{separator}{word}"

    return _changes(with_word, items)


def captions_from_names(items: Iterable[MediaItem]) -> list[CaptionChange]:
    """A caption from the file name for every item that has no caption file; one that cannot be read is left alone."""
    return [
        CaptionChange(item, None, caption_of_name(item.stem))
        for item in items
        if item.caption is None and not item.caption_fault
    ]


def caption_of_name(stem: str) -> str:
    """ "a red car" for a_red-car_(12): separators become spaces, a number at the end is dropped unless it is all."""
    words = " ".join(regex.sub(r"[_\-.\s]+", " ", stem).split())
    return regex.sub(r"\s*(\(\d+\)|\d+)$", "", words) or words


def set_caption(item: MediaItem, caption: str) -> list[CaptionChange]:
    """One caption as it was typed, spaces at both ends cut off; nothing if that changes nothing."""
    after = caption.strip()
    return [] if after == item.caption else [CaptionChange(item, item.caption, after)]


def word_counts(captions: Iterable[str]) -> list[tuple[str, int]]:
    """How many captions have each word, the most frequent first, then by alphabet; upper and lower case are one."""
    counts = Counter(word for caption in captions for word in set(_WORD.findall(caption.casefold())))
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def phrase_counts(captions: Iterable[str]) -> list[tuple[str, int]]:
    """The same for what stands between commas, as in captions that are lists of tags."""
    counts = Counter(
        phrase for caption in captions for phrase in {each.strip() for each in _COMMA.split(caption.casefold())}
    )
    counts.pop("", None)
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


_WORD = regex.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_COMMA = regex.compile(r"[,、，。.;\n]")


def _begins_with(caption: str, word: str) -> bool:
    """Whether the word stands in front, and is not merely the beginning of a longer one."""
    return caption.startswith(word) and not caption[len(word) : len(word) + 1].isalnum()


def _within(seconds: float, substitute: Callable[..., str], items: Iterable[MediaItem]) -> list[CaptionChange]:
    end = time.monotonic() + seconds
    # regex takes 0 for no limit at all
    return _changes(lambda caption: substitute(caption, timeout=max(1e-3, end - time.monotonic())), items)


def _changes(change: Callable[[str], str], items: Iterable[MediaItem]) -> list[CaptionChange]:
    changes: Sequence[CaptionChange] = [
        CaptionChange(item, item.caption, change(item.caption).strip()) for item in items if item.caption is not None
    ]
    if too_long := [each for each in changes if len(each.after) > MOST_CHARACTERS]:
        item = too_long[0].item
        raise DatasetError(f"{item.path}: the caption would have {len(too_long[0].after)} characters")
    return [each for each in changes if each.after != each.before]
