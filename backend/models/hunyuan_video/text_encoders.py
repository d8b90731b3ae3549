"""The two text encoders: hidden states of a Llama language model, and the pooled state of CLIP-L."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, LlamaConfig, LlamaModel

from backend.errors import ModelFileError
from backend.models.hunyuan_video.fp8 import keep_in_float8, to_float8
from backend.models.hunyuan_video.tokenizers import (
    TEMPLATE_TOKENS,
    check_fits,
    folders_beside,
    load_clip_tokenizer,
    load_llm_tokenizer,
    tokenize_for_clip,
    tokenize_for_llm,
)
from backend.models.weight_files import fill_model, read_tensors, wrong_kind

SKIPPED_LAYERS = 2  # the pipeline takes hidden_states[-3]: what the last but two layers give, without the final norm
_LLAMA_HEAD_DIM = 128
_CLIP_HEAD_DIM = 64


@dataclass(frozen=True)
class TextEncoder:
    """A text model and the tokenizer that belongs to it."""

    model: nn.Module
    tokenizer: Tokenizer


def load_llm(path: Path, *, device: str | torch.device, dtype: torch.dtype, float8: bool = False) -> TextEncoder:
    """The Llama language model of a folder or of one weights file, with the tokenizer beside it.

    float8: keep the weights of its Linears in 8 bits.
    Raises ModelFileError if weights or tokenizer are missing, damaged, or of another model.
    """
    tokenizer = load_llm_tokenizer(path)
    model = load_llm_model(path, device=device, dtype=dtype, float8=float8)
    check_fits(tokenizer, rows=model.config.vocab_size, path=path)
    return TextEncoder(model, tokenizer)


def load_clip(path: Path, *, device: str | torch.device, dtype: torch.dtype) -> TextEncoder:
    """The CLIP text model of a folder or of one weights file, with the tokenizer beside it; errors as load_llm."""
    tokenizer = load_clip_tokenizer(path)
    model = load_clip_model(path, device=device, dtype=dtype)
    check_fits(tokenizer, rows=model.config.vocab_size, path=path)
    return TextEncoder(model, tokenizer)


def load_llm_model(path: Path, *, device: str | torch.device, dtype: torch.dtype, float8: bool = False) -> LlamaModel:
    """The language model without what is not used: the last two layers, the final norm and the output matrix."""
    tensors = _read_part(path, anchor="embed_tokens.weight", wanted="Llama text encoder")
    config = _llm_config(path, tensors)
    config.num_hidden_layers -= SKIPPED_LAYERS
    unused = tuple(f"layers.{config.num_hidden_layers + skipped}." for skipped in range(SKIPPED_LAYERS))
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith((*unused, "norm."))}
    with torch.device("meta"):
        model = LlamaModel(config)
        linears = [name for name, module in model.named_modules() if float8 and isinstance(module, nn.Linear)]
        keep_in_float8(model, linears, "plain")
    model.norm = nn.Identity()
    model.rotary_emb = type(model.rotary_emb)(config)  # its table is computed, not stored, so it must leave meta
    small = {f"{name}.weight" for name in linears}

    def convert(name: str, tensor: Tensor) -> dict[str, Tensor]:
        return {name: to_float8(tensor, "plain")[0] if name in small else tensor}

    fill_model(model, tensors, path=path, device=device, dtype=dtype, convert=convert)
    return model.to(device)


def load_clip_model(path: Path, *, device: str | torch.device, dtype: torch.dtype) -> CLIPTextModel:
    """The CLIP text model without a projection."""
    tensors = _read_part(path, anchor="embeddings.token_embedding.weight", wanted="CLIP text encoder")
    tensors.pop("embeddings.position_ids", None)  # stored by old versions, computed by new ones
    model = CLIPTextModel(_clip_config(path, tensors))
    fill_model(model, tensors, path=path, device=device, dtype=dtype)
    return model.to(device)


def encode_llm(llm: TextEncoder, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Hidden states (B, 256, D) in the model's dtype and mask int64 (B, 256), the template cut off."""
    ids, mask = tokenize_for_llm(llm.tokenizer, captions)
    return encode_llm_ids(llm.model, ids, mask=mask)


def encode_clip(clip: TextEncoder, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Pooled states (B, D) in the model's dtype and mask int64 (B, 77)."""
    ids, mask = tokenize_for_clip(clip.tokenizer, captions)
    return encode_clip_ids(clip.model, ids, mask=mask)


@torch.no_grad()
def encode_llm_ids(model: LlamaModel, ids: Tensor, *, mask: Tensor) -> tuple[Tensor, Tensor]:
    """States (B, L - 95, D) and mask (B, L - 95) for ids and mask (B, L): the first 95 tokens are the template."""
    ids, mask = ids.to(model.device), mask.to(model.device)
    states = model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    return states[:, TEMPLATE_TOKENS:], mask[:, TEMPLATE_TOKENS:]


@torch.no_grad()
def encode_clip_ids(model: CLIPTextModel, ids: Tensor, *, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The normed state at the first end token (B, D), and the mask (B, 77) as given."""
    ids, mask = ids.to(model.device), mask.to(model.device)
    return model(input_ids=ids, attention_mask=mask).pooler_output, mask


def _read_part(path: Path, *, anchor: str, wanted: str) -> dict[str, Tensor]:
    """The tensors of the module that holds `anchor`, named from that module on.

    A folder may hold a model around the wanted one (Llava around Llama, CLIP with its picture half); released files
    differ in the prefix (`model.`, `language_model.model.`, `text_model.`, none).
    """
    tensors: dict[str, Tensor] = {}
    for file in _weights_files(path):
        tensors.update(read_tensors(file))
    anchors = [name for name in tensors if name == anchor or name.endswith("." + anchor)]
    if len(anchors) != 1:
        raise wrong_kind(path, tensors, wanted=wanted)
    prefix = anchors[0].removesuffix(anchor)
    _refuse_scaled(path, tensors)
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if _is_inside(name, prefix)}


def _is_inside(name: str, prefix: str) -> bool:
    """Whether a tensor belongs to the module; beside one without prefix an output matrix or a tokenizer may lie."""
    outside = ("lm_head.", "text_projection.", "visual_projection.", "vision_model.", "logit_scale", "tokenizer")
    return name.startswith(prefix) and not name.startswith(outside)


def _refuse_scaled(path: Path, tensors: Mapping[str, Tensor]) -> None:
    if any(name.endswith((".scale_weight", ".weight_scale")) or name == "scaled_fp8" for name in tensors):
        raise ModelFileError(
            f"{path}: scaled fp8 weights, wanted fp16, bf16 or fp32", hint="take llava_llama3_fp16.safetensors"
        )


def _weights_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    for names in ("model.safetensors", "model-*.safetensors", "pytorch_model.bin", "pytorch_model-*.bin"):
        if files := sorted(path.glob(names)):
            return files
    message = f"{path}: no weights in this folder; model.safetensors (or its parts) is missing"
    raise ModelFileError(message, cause="missing_file")


def _llm_config(path: Path, tensors: Mapping[str, Tensor]) -> LlamaConfig:
    if stored := _stored_config(path, model_type="llama"):
        return LlamaConfig(**stored)
    vocabulary, hidden = tensors["embed_tokens.weight"].shape
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=tensors["layers.0.mlp.gate_proj.weight"].shape[0],
        num_hidden_layers=_count_layers(tensors, "layers"),
        num_attention_heads=_heads(path, tensors["layers.0.self_attn.q_proj.weight"], head_dim=_LLAMA_HEAD_DIM),
        num_key_value_heads=_heads(path, tensors["layers.0.self_attn.k_proj.weight"], head_dim=_LLAMA_HEAD_DIM),
        head_dim=_LLAMA_HEAD_DIM,
        rms_norm_eps=1e-5,
        max_position_embeddings=8192,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0},
    )


def _clip_config(path: Path, tensors: Mapping[str, Tensor]) -> CLIPTextConfig:
    if stored := _stored_config(path, model_type="clip_text_model"):
        return CLIPTextConfig(**stored)
    vocabulary, hidden = tensors["embeddings.token_embedding.weight"].shape
    return CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=tensors["encoder.layers.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=_count_layers(tensors, "encoder.layers"),
        num_attention_heads=_heads(path, tensors["encoder.layers.0.self_attn.q_proj.weight"], head_dim=_CLIP_HEAD_DIM),
        max_position_embeddings=tensors["embeddings.position_embedding.weight"].shape[0],
        eos_token_id=2,  # as the released configuration has it; it means: pool at the highest id, the end token
    )


def _stored_config(path: Path, *, model_type: str) -> dict[str, object] | None:
    """config.json of the folder, or beside the file, or the part of it that describes the text model."""
    for folder in folders_beside(path):
        file = folder / "config.json"
        if not file.is_file():
            continue
        config = json.loads(file.read_text(encoding="utf-8"))
        for candidate in (config, config.get("text_config") or {}):
            if candidate.get("model_type") == model_type:
                return candidate
    return None


def _count_layers(tensors: Mapping[str, Tensor], prefix: str) -> int:
    depth = prefix.count(".") + 1
    return 1 + max(int(name.split(".")[depth]) for name in tensors if name.startswith(prefix + "."))


def _heads(path: Path, projection: Tensor, *, head_dim: int) -> int:
    heads, rest = divmod(projection.shape[0], head_dim)
    if rest:
        raise ModelFileError(
            f"{path}: a projection of {projection.shape[0]} rows cannot be cut into heads of {head_dim}",
            hint="for a model of another size put its config.json beside it",
        )
    return heads
