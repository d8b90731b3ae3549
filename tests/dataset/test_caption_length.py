"""Length of captions: exact where the tokenizers lie with their models, and never less than what is cut."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backend.dataset.caption_length import (
    CLIP_CAPTION_TOKENS,
    LLM_CAPTION_TOKENS,
    CaptionLimits,
    estimated_tokens,
    find_tokenizer,
)
from backend.models.hunyuan_video.tokenizers import (
    load_clip_tokenizer,
    load_llm_tokenizer,
    tokenize_for_clip,
    tokenize_for_llm,
)

MODELS = Path(__file__).parents[2] / "presets" / "demo" / "models"
WORDS = "a small cat jumps over the wall into the garden "


@pytest.fixture(scope="module")
def limits() -> CaptionLimits:
    return CaptionLimits(llm=find_tokenizer(MODELS / "llama"), clip=find_tokenizer(MODELS / "clip"))


def test_a_caption_is_too_long_exactly_where_encoding_cuts_it(limits: CaptionLimits) -> None:
    llm, clip = load_llm_tokenizer(MODELS / "llama"), load_clip_tokenizer(MODELS / "clip")
    words = (WORDS * 60).split()
    found = {"llm": 0, "clipL": 0}
    for count in range(1, len(words), 7):
        caption = " ".join(words[:count])
        too_long = limits.too_long(caption)
        for part, tokenizer, encode in (("llm", llm, tokenize_for_llm), ("clipL", clip, tokenize_for_clip)):
            ids = encode(tokenizer, [caption])[0].tolist()
            longer = encode(tokenizer, [f"{caption} wall wall wall wall"])[0].tolist()
            is_cut = ids == longer
            assert (part in too_long) >= is_cut
            found[part] += is_cut
    assert min(found.values()) > 5


def test_the_numbers_are_those_of_the_tokenizers_less_what_frames_a_caption(limits: CaptionLimits) -> None:
    clip = load_clip_tokenizer(MODELS / "clip")
    clip.no_truncation()
    clip.no_padding()
    caption = WORDS * 20

    assert limits.too_long(caption)["clipL"] == len(clip.encode(caption).ids) - 2
    assert limits.too_long("a cat") == {}


def test_without_tokenizers_tokens_are_estimated() -> None:
    assert estimated_tokens("a cat, walking") == 5
    assert estimated_tokens("猫が歩く") == 4
    assert set(CaptionLimits().too_long("word " * (LLM_CAPTION_TOKENS - 20))) == {"llm", "clipL"}
    assert set(CaptionLimits().too_long("word " * CLIP_CAPTION_TOKENS)) == {"clipL"}
    assert CaptionLimits().too_long("word " * 50) == {}


def test_a_tokenizer_is_found_in_the_folder_or_beside_the_file_of_a_model(tmp_path: Path) -> None:
    file = tmp_path / "llama.safetensors"
    assert find_tokenizer(file) is None
    for folder in (tmp_path, tmp_path / "tokenizer", tmp_path / "llama"):
        folder.mkdir(exist_ok=True)
        shutil.copy(MODELS / "llama" / "tokenizer.json", folder)
        assert find_tokenizer(file) == folder / "tokenizer.json"
    assert find_tokenizer(tmp_path / "llama") == tmp_path / "llama" / "tokenizer.json"
