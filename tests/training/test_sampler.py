"""Samples as files."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.config.sample_prompts import SamplePrompt
from backend.errors import UserError
from backend.models.hunyuan_video.vae import load_vae
from backend.training.sampler import EncodedPrompt, Sampler
from tests.training.test_sampling import Linear, text

VAE = Path(__file__).parents[1] / "golden" / "vae_model.safetensors"


def make(folder, outputs):
    prompt = SamplePrompt(prompt="a cat", width=32, height=32, frame_count=5, sample_steps=1, seed=3)
    vae = load_vae(VAE, device="cpu", dtype=torch.float32)
    encoded = [EncodedPrompt(4, prompt, text())]
    sampler = Sampler(encoded, vae, folder, "x", torch.device("cpu"), 0, outputs=frozenset(outputs))
    return sampler.make(Linear(), label="000002", facts={}, tell=lambda words: None)


@pytest.mark.parametrize(
    ("outputs", "endings"),
    [({"video"}, {".mp4"}), ({"latent"}, {".safetensors"}), ({"video", "latent"}, {".mp4", ".safetensors"})],
)
def test_each_sample_has_the_files_that_are_wanted(tmp_path, outputs, endings):
    (sample,) = make(tmp_path, outputs)
    files = [path for path in tmp_path.iterdir() if path.name.startswith("x_000002_04_")]
    assert {path.suffix for path in files} == endings and sample.path in files
    for path in files:
        if path.suffix == ".safetensors":
            assert load_file(path)["latent"].shape == (1, 16, 2, 4, 4)


@pytest.mark.parametrize("output", ["video", "images", "latent"])
def test_a_sample_that_cannot_be_written_is_told(tmp_path, output):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file.x_000002_04_.*: a sample cannot be written: .* \(check the free space"):
        make(tmp_path / "file", {output})
