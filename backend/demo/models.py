"""The demo's models: small and random, of the real architecture, under the released key names."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import safetensors.torch
import torch
from diffusers import AutoencoderKLHunyuanVideo
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, LlamaConfig, LlamaForCausalLM

from backend.dataset.cached import LATENT_CHANNELS
from backend.demo.tokenizers import clip_tokenizer_files, llama_tokenizer_files, vocabulary_size
from backend.models.hunyuan_video.latent_scale import LATENT_SCALE
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.plan.modules import TransformerShape

TRANSFORMER_SHAPE = TransformerShape(
    hidden_size=128,
    heads=4,
    double_blocks=3,
    single_blocks=6,
    mlp_hidden=512,
    in_channels=LATENT_CHANNELS,
    text_width=64,
    pooled_width=48,
)
VAE_SHAPE = {"block_out_channels": (8, 8, 16, 16), "layers_per_block": 1, "norm_num_groups": 4}
LLAMA_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": TRANSFORMER_SHAPE.text_width,
    "intermediate_size": 160,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
}
CLIP_CONFIG = {
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "hidden_size": TRANSFORMER_SHAPE.pooled_width,
    "intermediate_size": 192,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "max_position_embeddings": 77,
    "bos_token_id": 0,
    "eos_token_id": 2,  # as released; it means: pool at the highest id, the end token
    "pad_token_id": 1,
}


def make_transformer() -> bytes:
    """A .safetensors file of the transformer, in bfloat16 as released.

    Made so that 40 steps show a falling loss, from about 2.5 to 1.5 with the preset Demo: each value of a patch goes
    in and comes out in a column of its own, and the blocks, whose work is random, disturb it in between.
    """
    weights = draw_weights(lambda: HunyuanVideoTransformer(TRANSFORMER_SHAPE), seed=1)
    patch_embedding, output = weights["img_in.proj.weight"], weights["final_layer.linear.weight"]
    patch_embedding.copy_(torch.eye(*patch_embedding.flatten(1).shape).view_as(patch_embedding))
    output.copy_(torch.eye(*output.shape))
    for name, weight in weights.items():
        if name.endswith(("_mod.linear.weight", ".modulation.linear.weight")):
            weight *= 0.5  # gates of the blocks
    return _safetensors({name: tensor.bfloat16() for name, tensor in weights.items()})


def make_vae() -> bytes:
    """A .safetensors file of the video autoencoder.

    Its latents vary by about 1 / 0.477, as those of the released one, and have little noise of their own.
    """
    weights = draw_weights(lambda: AutoencoderKLHunyuanVideo(**VAE_SHAPE), seed=2)
    means, log_variances = weights["quant_conv.weight"].split(LATENT_CHANNELS)
    means *= 1.75 / LATENT_SCALE  # as drawn, photos give latents that vary by 1 / 1.75
    log_variances *= 0.1
    weights["quant_conv.bias"][LATENT_CHANNELS:] = -6.0
    config = {"norm_num_groups": VAE_SHAPE["norm_num_groups"]}  # the one number that the shapes do not tell
    return _safetensors(weights, {"config": json.dumps(config)})


def make_llama(captions: Sequence[str]) -> dict[str, bytes]:
    """The files of a folder with a Llama language model and its tokenizer, by name."""
    tokenizer = llama_tokenizer_files(captions)
    config = {**LLAMA_CONFIG, "vocab_size": vocabulary_size(tokenizer)}
    weights = draw_weights(lambda: LlamaForCausalLM(LlamaConfig(**config)), seed=3)
    return {"config.json": _json(config), "model.safetensors": _safetensors(weights), **tokenizer}


def make_clip(captions: Sequence[str]) -> dict[str, bytes]:
    """The files of a folder with a CLIP text model and its tokenizer, by name."""
    tokenizer = clip_tokenizer_files(captions)
    config = {**CLIP_CONFIG, "vocab_size": vocabulary_size(tokenizer)}
    weights = draw_weights(lambda: CLIPTextModel(CLIPTextConfig(**config)), seed=4)
    released = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in weights.items()}
    return {"config.json": _json(config), "model.safetensors": _safetensors(released), **tokenizer}


def draw_weights(build: Callable[[], nn.Module], *, seed: int) -> dict[str, Tensor]:
    """Weights in float32 for a module, the same every time; only names and shapes of what `build` gives are used.

    Matrices and convolutions keep the size of what they are fed, norms do nothing, biases are 0.
    """
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in build().state_dict().items()}
    return {name: _draw(name, shape, seed=seed) for name, shape in shapes.items()}


def _draw(name: str, shape: torch.Size, *, seed: int) -> Tensor:
    if len(shape) < 2:
        return torch.zeros(shape) if name.endswith("bias") else torch.ones(shape)
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
    return torch.randn(shape, generator=generator) / math.sqrt(math.prod(shape[1:]))


def _safetensors(weights: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """metadata: one entry, since several would come in another order every time."""
    return safetensors.torch.save(dict(weights), metadata=dict(metadata or {"format": "pt"}))


def _json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
