"""The VAE and the text encoders, loaded as the options ask for them."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKLHunyuanVideo

from backend.commands.required import required_path
from backend.config.configuration import Configuration
from backend.models.hunyuan_video.text_encoders import TextEncoder, load_clip, load_llm
from backend.models.hunyuan_video.vae import compute_in_chunks, enable_spatial_tiling, load_vae


def load_autoencoder(configuration: Configuration, *, device: torch.device) -> AutoencoderKLHunyuanVideo:
    """The VAE with its memory options. Raises OptionError if none is given, ModelFileError for a file that is none."""
    model = configuration.model
    vae = load_vae(required_path(model.vae, "vae"), device=device, dtype=getattr(torch, model.vae_dtype))
    if model.vae_spatial_tile_sample_min_size:
        enable_spatial_tiling(vae, tile_pixels=model.vae_spatial_tile_sample_min_size)
    elif model.vae_tiling:
        enable_spatial_tiling(vae)
    if model.vae_chunk_size:
        compute_in_chunks(vae, model.vae_chunk_size)
    return vae


def load_llama(configuration: Configuration, *, device: torch.device) -> TextEncoder:
    """The language model with its tokenizer. Raises as `load_autoencoder`."""
    model = configuration.model
    path, dtype = required_path(model.text_encoder1, "text_encoder1"), getattr(torch, model.text_encoder_dtype)
    return load_llm(path, device=device, dtype=dtype, float8=model.fp8_llm)


def load_clip_l(configuration: Configuration, *, device: torch.device) -> TextEncoder:
    """CLIP's text model with its tokenizer. Raises as `load_autoencoder`."""
    model = configuration.model
    path = required_path(model.text_encoder2, "text_encoder2")
    return load_clip(path, device=device, dtype=getattr(torch, model.text_encoder_dtype))
