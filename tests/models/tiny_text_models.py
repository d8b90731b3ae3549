"""Small text encoders on disk as the released ones lie there, with tokenizers made on the spot."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import WordLevelTrainer

from backend.models.hunyuan_video.tokenizers import PROMPT_TEMPLATE

GOLDEN = Path(__file__).parents[1] / "golden"
# How Llama 3 cuts a text before it looks for tokens: a word with its space, a number, punctuation, newlines.
LLAMA_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
BEGIN = "<|begin_of_text|>"


def llama_tokenizer(*, adds_begin: bool = True, words: str = LLAMA_WORDS) -> Tokenizer:
    """A tokenizer that knows the words of the prompt template, each as one token, and no others."""
    special = [BEGIN, "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<pad>", "<unk>"]
    tokenizer = Tokenizer(WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = Split(Regex(words), behavior="isolated")
    tokenizer.train_from_iterator([PROMPT_TEMPLATE], WordLevelTrainer(special_tokens=special, show_progress=False))
    if adds_begin:
        tokenizer.post_processor = TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, 0)])
    return tokenizer


def clip_tokenizer(*, end_id: int = 119) -> Tokenizer:
    """A tokenizer of a few words with CLIP's begin and end tokens, the end token having the highest id."""
    begin, end = "<|startoftext|>", "<|endoftext|>"
    words = ["<unk>", "a", "cat", "walks", "rocket", "in", "the", "sky"]
    ids = {word: number for number, word in enumerate(words)} | {begin: 118, end: end_id}
    tokenizer = Tokenizer(WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Split(" ", behavior="removed")
    tokenizer.post_processor = TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(begin, 118), (end, end_id)]
    )
    return tokenizer


def write_llama_folder(folder: Path) -> Path:
    """The golden Llama as a Hugging Face folder."""
    folder.mkdir(parents=True)
    _write_model(folder, "llm_model.", "llama_config", "llama")
    llama_tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": {"content": "<pad>"}}))
    return folder


def write_clip_folder(folder: Path) -> Path:
    """The golden CLIP text model as a Hugging Face folder."""
    folder.mkdir(parents=True)
    _write_model(folder, "clip_model.", "clip_config", "clip_text_model")
    clip_tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<|endoftext|>"}))
    return folder


def _write_model(folder: Path, prefix: str, config_name: str, model_type: str) -> None:
    source = GOLDEN / "text_models.safetensors"
    weights = {name.removeprefix(prefix): each for name, each in load_file(source).items() if name.startswith(prefix)}
    save_file(weights, folder / "model.safetensors")
    with safe_open(source, framework="pt") as file:
        config = json.loads(file.metadata()[config_name])
    (folder / "config.json").write_text(json.dumps(config | {"model_type": model_type}))
