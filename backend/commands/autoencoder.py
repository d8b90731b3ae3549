"""The VAE, loaded as the options ask for it."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKLHunyuanVideo

from backend.commands.required import required_path
from backend.config.configuration import Configuration
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
