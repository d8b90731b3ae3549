"""What the options say of the VAE and the text encoders reaches them."""

from pathlib import Path

import pytest
import torch

from backend.commands.autoencoder import load_autoencoder
from backend.commands.text_encoders import load_llama
from backend.config.configuration import Configuration
from backend.models.hunyuan_video.vae import ChunkedConv3d
from tests.models.tiny_text_models import write_llama_folder

VAE = Path(__file__).parents[1] / "golden" / "vae_model.safetensors"
CPU = torch.device("cpu")


def autoencoder(**options):
    return load_autoencoder(Configuration.from_values({"vae": str(VAE), **options}), device=CPU)


def test_the_vae_works_on_the_whole_picture_in_float16_unless_asked_otherwise():
    vae = autoencoder()
    assert not vae.use_tiling and vae.dtype == torch.float16
    assert not any(isinstance(module, ChunkedConv3d) for module in vae.modules())


@pytest.mark.parametrize(
    ("options", "side"),
    [
        ({"vae_tiling": True}, 256),
        ({"vae_spatial_tile_sample_min_size": 64}, 64),
        ({"vae_tiling": True, "vae_spatial_tile_sample_min_size": 128}, 128),
    ],
)
def test_tiles_have_the_size_that_was_asked_for(options, side):
    vae = autoencoder(**options)
    assert vae.use_tiling and vae.tile_sample_min_height == vae.tile_sample_min_width == side


def test_the_vae_computes_in_chunks_and_in_the_dtype_that_was_asked_for():
    vae = autoencoder(vae_chunk_size=24, vae_dtype="fp32")
    assert {module.columns for module in vae.modules() if isinstance(module, ChunkedConv3d)} == {24}
    assert vae.dtype == torch.float32


@pytest.mark.parametrize(("float8", "dtype"), [(True, torch.float8_e4m3fn), (False, torch.bfloat16)])
def test_the_language_model_is_held_as_the_options_say(tmp_path, float8, dtype):
    options = {"text_encoder1": str(write_llama_folder(tmp_path / "llama")), "text_encoder_dtype": "bf16"}
    llama = load_llama(Configuration.from_values({**options, "fp8_llm": float8}), device=CPU)
    assert llama.model.layers[0].mlp.gate_proj.weight.dtype == dtype
    assert llama.model.embed_tokens.weight.dtype == torch.bfloat16
