"""Captions to token ids: the tokenizers of the two text encoders, from files only, never from the network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor

from backend.errors import ModelFileError

# From the released pipeline; it is used for pictures as well. There is no space after the full stops that end 1. and 2.
PROMPT_TEMPLATE = (
    "<|start_header_id|>system<|end_header_id|>\n\nDescribe the video by detailing the following aspects: "
    "1. The main content and theme of the video."
    "2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects."
    "3. Actions, events, behaviors temporal relationships, physical movement changes of the objects."
    "4. background environment, light, style and atmosphere."
    "5. camera angles, movements, and transitions used in the video:<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
)
TEMPLATE_TOKENS = 95  # what stands before the caption, with the begin token; cut off after encoding
LLM_TOKENS = 256
CLIP_TOKENS = 77
_LLAMA_BEGIN = "<|begin_of_text|>"


def load_llm_tokenizer(path: Path) -> Tokenizer:
    """Llama's tokenizer, set to pad and cut to 351 tokens on the right; path: the model's folder or file.

    Raises ModelFileError if there is none or if it does not cut the template into exactly 95 tokens.
    """
    folder = _tokenizer_folder(path)
    tokenizer = _read(folder / "tokenizer.json")
    _make_it_begin(tokenizer)
    _check_template(tokenizer, folder)
    return _fix_length(tokenizer, TEMPLATE_TOKENS + LLM_TOKENS, pad=_special_token(folder, "pad_token"))


def load_clip_tokenizer(path: Path) -> Tokenizer:
    """CLIP's tokenizer, set to pad and cut to 77 tokens; path: the model's folder or file."""
    folder = _tokenizer_folder(path, also=("vocab.json", "merges.txt"))
    if (folder / "tokenizer.json").is_file():
        tokenizer = _read(folder / "tokenizer.json")
    else:
        tokenizer = _clip_from_vocabulary(folder)
    return _fix_length(tokenizer, CLIP_TOKENS, pad=_special_token(folder, "pad_token") or "<|endoftext|>")


def tokenize_for_llm(tokenizer: Tokenizer, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Ids and mask, both int64 (B, 351), of the captions inside the template."""
    return _tokenize(tokenizer, [PROMPT_TEMPLATE.format(caption) for caption in captions])


def tokenize_for_clip(tokenizer: Tokenizer, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Ids and mask, both int64 (B, 77), of the bare captions."""
    return _tokenize(tokenizer, captions)


def folders_beside(path: Path) -> list[Path]:
    """Where the small files of a model are looked for: the folder itself, or for a weights file the folder of the same
    name beside it, a folder `tokenizer`, and its own folder."""
    if path.is_dir():
        return [path, path / "tokenizer"]
    return [path.with_suffix(""), path.parent / "tokenizer", path.parent]


def check_fits(tokenizer: Tokenizer, *, rows: int, path: Path) -> None:
    """Raises ModelFileError if the tokenizer makes ids for which the model has no row in its embedding."""
    highest = max(tokenizer.get_vocab().values())
    if highest >= rows:
        raise ModelFileError(
            f"{path}: the tokenizer found for it makes ids up to {highest}, the model has {rows} tokens",
            hint="the tokenizer files beside it belong to another model",
        )


def _tokenizer_folder(path: Path, *, also: tuple[str, ...] = ()) -> Path:
    if not path.exists():
        raise ModelFileError(f"{path}: there is no such file or folder", cause="missing_file")
    folders = folders_beside(path)
    for folder in folders:
        if (folder / "tokenizer.json").is_file() or (also and all((folder / name).is_file() for name in also)):
            return folder
    wanted = "tokenizer.json" + (f" (or {' and '.join(also)})" if also else "")
    raise ModelFileError(
        f"{path}: no tokenizer found for it; {wanted} is missing",
        hint="put it, with tokenizer_config.json if there is one, into "
        + " or ".join(str(each) for each in folders[:2]),
    )


def _read(file: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise ModelFileError(f"{file}: cannot be read as a tokenizer: {error}", cause="damaged_file") from error


def _clip_from_vocabulary(folder: Path) -> Tokenizer:
    """The original CLIP download has vocab.json and merges.txt only; transformers knows how to join them."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer


def _make_it_begin(tokenizer: Tokenizer) -> None:
    """Early Llama 3 tokenizer files leave the begin token to the caller."""
    begin = tokenizer.token_to_id(_LLAMA_BEGIN)
    if begin is not None and begin not in tokenizer.encode("a").ids:
        tokenizer.post_processor = TemplateProcessing(
            single=f"{_LLAMA_BEGIN} $A", special_tokens=[(_LLAMA_BEGIN, begin)]
        )


def _check_template(tokenizer: Tokenizer, folder: Path) -> None:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    count = len(tokenizer.encode(PROMPT_TEMPLATE.split("{}")[0]).ids)
    if count != TEMPLATE_TOKENS:
        raise ModelFileError(
            f"{folder}: this tokenizer does not fit: it cuts the prompt template into {count} tokens, "
            f"wanted {TEMPLATE_TOKENS}",
            hint="take tokenizer.json of llava-llama-3-8b-v1_1-transformers",
        )


def _fix_length(tokenizer: Tokenizer, length: int, *, pad: str | None) -> Tokenizer:
    pad_id = tokenizer.token_to_id(pad) if pad else None
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(direction="right", pad_id=pad_id or 0, pad_token=pad or "", length=length)
    return tokenizer


def _special_token(folder: Path, name: str) -> str | None:
    """The pad token that the folder's small JSON files name; what it is changes no masked result, only padded rows."""
    for file in (folder / "tokenizer_config.json", folder / "special_tokens_map.json"):
        if file.is_file():
            token = json.loads(file.read_text(encoding="utf-8")).get(name)
            if token:
                return token["content"] if isinstance(token, dict) else token
    return None


def _tokenize(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    encodings = tokenizer.encode_batch(list(texts))
    ids = torch.tensor([encoding.ids for encoding in encodings])
    return ids, torch.tensor([encoding.attention_mask for encoding in encodings])
