"""Names of the encoders that the options choose, as caches keep them: a cache made by another is stale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backend.config.schema import ModelOptions
from backend.dataset.origin import Encoders, encoder_name

DEFAULT_TILE_PIXELS = 256


def find_encoders(model: ModelOptions) -> Encoders:
    """Those that the options name; any will do where none is named, or its files cannot be read."""
    return Encoders(
        vae=_found(model, model.vae, vae_name),
        llm=_found(model, model.text_encoder1, llm_name),
        clip=_found(model, model.text_encoder2, clip_name),
    )


def vae_name(model: ModelOptions) -> str:
    """Its weights, and the tile size, which changes what it gives; chunks do not, and the dtype only rounds.

    Raises OSError, as the others do.
    """
    tile = model.vae_spatial_tile_sample_min_size or (DEFAULT_TILE_PIXELS if model.vae_tiling else None)
    return encoder_name(Path(model.vae or ""), *([f"tiles of {tile}"] if tile else []))


def llm_name(model: ModelOptions) -> str:
    """The language model's weights; fp8_llm changes what it gives."""
    return encoder_name(Path(model.text_encoder1 or ""), *(["fp8"] if model.fp8_llm else []))


def clip_name(model: ModelOptions) -> str:
    """CLIP's weights."""
    return encoder_name(Path(model.text_encoder2 or ""))


def _found(model: ModelOptions, path: str | None, name_of: Callable[[ModelOptions], str]) -> str | None:
    try:
        return name_of(model) if path else None
    except OSError:  # the plan tells what is wrong with the file
        return None
