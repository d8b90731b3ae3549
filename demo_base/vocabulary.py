"""The texts whose words the demo's tokenizers know as one token each."""

from __future__ import annotations

import re

from backend.config.presets import SHIPPED
from demo_base.captions import all_words
from demo_base.scenes import COLOURS
from demo_base.shapes import BASE_SHAPES, NEW_SHAPES

OTHER_WORDS = "and is of an the one with in two made woven loom style"
"""Words for captions of one's own that no scene needs."""


def texts() -> list[str]:
    """Each word twice, since Llama's tokens include the space before a word, and a caption may begin with any."""
    phrases = [*shipped_captions(), *all_words(), *COLOURS, *BASE_SHAPES, *NEW_SHAPES, OTHER_WORDS, "on a background,"]
    words = sorted({word for phrase in phrases for word in re.findall(r"[\w]+|[^\w\s]", phrase)})
    return [f"{word} {word}" for word in words] + shipped_captions()


def shipped_captions() -> list[str]:
    """The captions of the photos and clips that lie beside the demo's media."""
    files = sorted([*(SHIPPED / "demo").glob("photos/*.txt"), *(SHIPPED / "demo").glob("clips/*.txt")])
    return [file.read_text(encoding="utf-8").strip() for file in files]


def unusual_words() -> list[str]:
    """Words of the shipped captions, which no scene uses."""
    usual = set(" ".join([*all_words(), *COLOURS, *BASE_SHAPES, OTHER_WORDS]).split())
    return sorted({word for caption in shipped_captions() for word in re.findall(r"\w+", caption)} - usual)
