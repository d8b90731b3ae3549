"""The tokenizers of the demo's base behave like the released ones."""

import pytest
from tokenizers import Tokenizer

from backend.models.hunyuan_video.tokenizers import (
    PROMPT_TEMPLATE,
    TEMPLATE_TOKENS,
    load_clip_tokenizer,
    load_llm_tokenizer,
)
from demo_base.tokenizers import CLIP_BEGIN, CLIP_END, LLAMA_BEGIN, clip_tokenizer_files, llama_tokenizer_files
from demo_base.vocabulary import shipped_captions


@pytest.fixture
def llama() -> Tokenizer:
    return Tokenizer.from_buffer(llama_tokenizer_files(shipped_captions())["tokenizer.json"])


@pytest.fixture
def clip() -> Tokenizer:
    return Tokenizer.from_buffer(clip_tokenizer_files(shipped_captions())["tokenizer.json"])


def test_the_prompt_template_has_95_tokens_before_the_caption(llama):
    tokens = llama.encode(PROMPT_TEMPLATE.split("{}")[0]).tokens
    assert len(tokens) == TEMPLATE_TOKENS == 95
    assert tokens[:5] == [LLAMA_BEGIN, "<|start_header_id|>", "system", "<|end_header_id|>", "ĊĊ"]


@pytest.mark.parametrize("caption", shipped_captions())
def test_each_word_of_a_caption_is_one_token(llama, clip, caption):
    words = caption.replace(",", " ,").replace("close-up", "close - up").split()
    in_template = llama.encode(PROMPT_TEMPLATE.format(caption)).tokens[TEMPLATE_TOKENS:]
    assert in_template[-1] == "<|eot_id|>"
    assert [token.lstrip("Ġ") for token in in_template[:-1]] in (words, _with_hyphen_joined(words))
    assert clip.encode(caption).tokens == [CLIP_BEGIN, *(f"{word}</w>" for word in words), CLIP_END]


@pytest.mark.parametrize("text", ["Qux über 東京 🚀 x9", "", "\n\n  tabs\tand spaces  ", "<odd> {braces} 'quoted'"])
def test_any_text_can_be_encoded_and_llama_decodes_it_again(llama, clip, text):
    assert llama.decode(llama.encode(text).ids) == text
    assert None not in clip.encode(text).ids
    assert clip.encode(text).ids.count(clip.token_to_id(CLIP_END)) == 1


def test_clips_end_token_has_the_highest_id(clip):
    assert clip.token_to_id(CLIP_END) == clip.get_vocab_size() - 1


def test_the_files_are_what_the_text_encoders_load(tmp_path):
    for load, files in ((load_llm_tokenizer, llama_tokenizer_files), (load_clip_tokenizer, clip_tokenizer_files)):
        folder = tmp_path / load.__name__
        folder.mkdir()
        for name, content in files(shipped_captions()).items():
            (folder / name).write_bytes(content)
        assert load(folder).padding["pad_token"] in ("<pad>", CLIP_END)


def _with_hyphen_joined(words: list[str]) -> list[str]:
    """Llama takes the hyphen to the word that follows it."""
    return " ".join(words).replace("- ", "-").split()
