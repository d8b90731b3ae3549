"""Tokenizer files for the demo's text encoders: real byte-level BPE of the few words that the demo needs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from backend.models.hunyuan_video.tokenizers import PROMPT_TEMPLATE

LLAMA_BEGIN, LLAMA_END, LLAMA_PAD = "<|begin_of_text|>", "<|end_of_text|>", "<pad>"
LLAMA_SPECIAL = (LLAMA_BEGIN, LLAMA_END, "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", LLAMA_PAD)
CLIP_BEGIN, CLIP_END = "<|startoftext|>", "<|endoftext|>"
CLIP_WORD_END = "</w>"

# How the released tokenizers cut a text before they look for tokens.
LLAMA_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def llama_tokenizer_files(captions: Iterable[str]) -> dict[str, bytes]:
    """tokenizer.json and tokenizer_config.json as they lie beside the released model, built like Llama 3's.

    Every word of the captions and of the prompt template is one token, so that the template has as many tokens as with
    the released tokenizer: 95 before the caption.
    """
    tokenizer = _llama_tokenizer(captions)
    return _files(tokenizer, bos_token=LLAMA_BEGIN, eos_token=LLAMA_END, pad_token=LLAMA_PAD, model_max_length=8192)


def clip_tokenizer_files(captions: Iterable[str]) -> dict[str, bytes]:
    """The same two files built like CLIP's: lower case, words end in </w>, the end token has the highest id."""
    tokenizer = _clip_tokenizer(captions)
    return _files(tokenizer, bos_token=CLIP_BEGIN, eos_token=CLIP_END, pad_token=CLIP_END, model_max_length=77)


def vocabulary_size(files: Mapping[str, bytes]) -> int:
    """How many tokens the tokenizer in these files knows: rows that a model's embedding needs."""
    return Tokenizer.from_buffer(files["tokenizer.json"]).get_vocab_size()


def _files(tokenizer: Tokenizer, **settings: object) -> dict[str, bytes]:
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **settings}
    return {
        "tokenizer.json": tokenizer.to_str(pretty=True).encode(),
        "tokenizer_config.json": (json.dumps(settings, indent=2) + "\n").encode(),
    }


def _llama_tokenizer(captions: Iterable[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.model = _merge_words(_words(tokenizer, [*_template_texts(), *captions]))
    tokenizer.add_special_tokens(list(LLAMA_SPECIAL))
    tokenizer.post_processor = _around(tokenizer, f"{LLAMA_BEGIN} $A", LLAMA_BEGIN)
    return tokenizer


def _clip_tokenizer(captions: Iterable[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.model = _merge_words(_words(tokenizer, captions), ending=CLIP_WORD_END)
    tokenizer.add_special_tokens([CLIP_BEGIN, CLIP_END])
    tokenizer.post_processor = _around(tokenizer, f"{CLIP_BEGIN} $A {CLIP_END}", CLIP_BEGIN, CLIP_END)
    return tokenizer


def _around(tokenizer: Tokenizer, pattern: str, *special: str) -> processors.TemplateProcessing:
    """The step that puts special tokens around a text, whose place is $A."""
    return processors.TemplateProcessing(
        single=pattern, special_tokens=[(token, tokenizer.token_to_id(token)) for token in special]
    )


def _template_texts() -> list[str]:
    """The prompt template without its special tokens, which are no words."""
    return re.split(r"<\|\w+\|>", PROMPT_TEMPLATE.replace("{}", ""))


def _words(tokenizer: Tokenizer, texts: Iterable[str]) -> list[str]:
    """The words that the tokenizer cuts the texts into, each once, in byte-level letters."""
    normalize = tokenizer.normalizer.normalize_str if tokenizer.normalizer else str
    pieces = (tokenizer.pre_tokenizer.pre_tokenize_str(normalize(text)) for text in texts)
    return sorted({word for words in pieces for word, _ in words})


def _merge_words(words: Iterable[str], *, ending: str = "") -> models.BPE:
    """Byte-pair encoding in which each of the words is one token; other words fall into shorter pieces and bytes.

    The library's own trainer numbers tokens differently in every process when words have an ending.
    """
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [[*word[:-1], word[-1] + ending] for word in words]
    merges = []
    while pairs := Counter(pair for word in pieces for pair in pairwise(word)):
        merges.append(min(pairs, key=lambda pair: (-pairs[pair], pair)))
        pieces = [_join(word, merges[-1]) for word in pieces]
    tokens = [*letters, *(letter + ending for letter in letters), *(first + second for first, second in merges)]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    settings = {"end_of_word_suffix": ending} if ending else {}
    return models.BPE(vocab=vocabulary, merges=merges, **settings)


def _join(word: list[str], pair: tuple[str, str]) -> list[str]:
    """The word with each occurrence of the pair made one piece, from the left."""
    joined: list[str] = []
    for piece in word:
        if joined and (joined[-1], piece) == pair:
            joined[-1] += piece
        else:
            joined.append(piece)
    return joined
