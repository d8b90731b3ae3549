"""The text encoders, loaded as the options ask for them."""

from __future__ import annotations

import torch

from backend.commands.required import required_path
from backend.config.configuration import Configuration
from backend.models.hunyuan_video.text_encoders import TextEncoder, load_clip, load_llm


def load_llama(configuration: Configuration, *, device: torch.device) -> TextEncoder:
    """The language model with its tokenizer. Raises OptionError without one, ModelFileError where it is none."""
    model = configuration.model
    path, dtype = required_path(model.text_encoder1, "text_encoder1"), getattr(torch, model.text_encoder_dtype)
    return load_llm(path, device=device, dtype=dtype, float8=model.fp8_llm)


def load_clip_l(configuration: Configuration, *, device: torch.device) -> TextEncoder:
    """CLIP's text model with its tokenizer. Raises as `load_llama`."""
    model = configuration.model
    path = required_path(model.text_encoder2, "text_encoder2")
    return load_clip(path, device=device, dtype=getattr(torch, model.text_encoder_dtype))
