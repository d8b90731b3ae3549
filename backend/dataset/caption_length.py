"""Length of captions in tokens, against what the two text encoders take; estimated without their tokenizers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

LLM_CAPTION_TOKENS = 255  # 256 less the token that ends the user's turn
CLIP_CAPTION_TOKENS = 75  # 77 less begin and end

# A word of Latin letters is 1.3 tokens on average for both tokenizers; of what is written without spaces, each
# character is about one.
_PIECE = re.compile(r"[^\W\d_]+|\d|[^\w\s]|_")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_TOKENS_A_WORD = 1.3


@dataclass(frozen=True)
class CaptionLimits:
    """Counts tokens for both text encoders. llm, clip: the files tokenizer.json, None to estimate."""

    llm: Path | None = None
    clip: Path | None = None

    def too_long(self, caption: str) -> dict[str, int]:
        """The encoders that cut this caption, "llm" or "clipL", each with the tokens that it has."""
        size = len(caption.encode("utf-8", "replace"))  # no token is less than a byte
        wanted = (("llm", self.llm, LLM_CAPTION_TOKENS), ("clipL", self.clip, CLIP_CAPTION_TOKENS))
        counts = {part: (_count(file, caption), limit) for part, file, limit in wanted if size > limit}
        return {part: count for part, (count, limit) in counts.items() if count > limit}


def find_tokenizer(model: Path) -> Path | None:
    """The tokenizer.json of a text encoder, which is a folder or a weights file; None if there is none."""
    folders = [model, model / "tokenizer"] if model.is_dir() else [model.with_suffix(""), model.parent / "tokenizer"]
    candidates = [folder / "tokenizer.json" for folder in (*folders, model.parent)]
    return next((file for file in candidates if file.is_file()), None)


def estimated_tokens(caption: str) -> int:
    """About how many tokens a caption has."""
    wide = 0 if caption.isascii() else len(_WIDE.findall(caption))
    words = _WIDE.sub(" ", caption) if wide else caption
    return wide + round(_TOKENS_A_WORD * len(_PIECE.findall(words)))


@lru_cache(maxsize=50_000)  # captions are looked at again and again while a dataset is edited
def _count(file: Path | None, caption: str) -> int:
    if file is None:
        return estimated_tokens(caption)
    return len(_tokenizer(file).encode(caption, add_special_tokens=False).ids)


@lru_cache(maxsize=4)
def _tokenizer(file: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
