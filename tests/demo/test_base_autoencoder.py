"""The autoencoder of the demo's base, before any training."""

import pytest
import torch

from backend.models.hunyuan_video.latent_space import LATENT_SCALE
from backend.models.hunyuan_video.vae import load_vae
from demo_base.autoencoder import clip_batch, make_autoencoder, standardise, write_autoencoder
from demo_base.scenes import Figure, Scene, draw


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    figures = [Figure("circle", colour, "large", "up") for colour in ("red", "green")]
    return clip_batch([draw(Scene((figure,), "navy"), 5, pixels=32) for figure in figures])


@torch.no_grad()
def test_standard_latents_change_no_picture(pixels):
    torch.manual_seed(0)
    vae = make_autoencoder().eval()
    before = vae.decode(vae.encode(pixels).latent_dist.mean).sample
    spread = vae.encode(pixels).latent_dist.std
    standardise(vae, clips=4)
    posterior = vae.encode(pixels).latent_dist
    torch.testing.assert_close(vae.decode(posterior.mean).sample, before, atol=1e-3, rtol=1e-3)
    assert 0.2 < (posterior.mean * LATENT_SCALE).std().item() < 3
    assert not torch.allclose(posterior.std, spread)  # the spread keeps its proportion to the mean


@torch.no_grad()
def test_the_file_loads_as_any_vae_does(pixels, tmp_path):
    torch.manual_seed(0)
    vae = make_autoencoder().eval()
    write_autoencoder(vae, tmp_path / "vae.safetensors")
    loaded = load_vae(tmp_path / "vae.safetensors", device="cpu", dtype=torch.float32)
    wanted = vae.encode(pixels).latent_dist.mean
    assert loaded.encode(pixels).latent_dist.mean.sub(wanted).abs().mean() < 0.05 * wanted.std()  # bfloat16
