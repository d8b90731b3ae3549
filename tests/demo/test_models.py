"""The demo's models are small ones of the real architecture."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors import safe_open

from backend.demo.dataset import captions
from backend.demo.models import TRANSFORMER_SHAPE, make_clip, make_llama, make_transformer, make_vae
from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.models.hunyuan_video.latent_scale import LATENT_SCALE
from backend.models.hunyuan_video.text_encoders import encode_clip, encode_llm, load_clip, load_llm
from backend.models.hunyuan_video.vae import encode, load_vae, normalize_pixels
from backend.plan.weights_header import read_header

PROJECT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parents[1] / "golden"
CPU = {"device": "cpu", "dtype": torch.float32}
PRINT_HASHES = """
import hashlib, json
from backend.demo import dataset, models
captions = dataset.captions()
files = {"transformer.safetensors": models.make_transformer(), "vae.safetensors": models.make_vae()}
files |= {f"llama/{name}": content for name, content in models.make_llama(captions).items()}
files |= {f"clip/{name}": content for name, content in models.make_clip(captions).items()}
print(json.dumps({name: hashlib.sha256(content).hexdigest() for name, content in files.items()}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """All four models, as files."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "transformer.safetensors").write_bytes(make_transformer())
    (folder / "vae.safetensors").write_bytes(make_vae())
    for name, files in (("llama", make_llama(captions())), ("clip", make_clip(captions()))):
        (folder / name).mkdir()
        for file, content in files.items():
            (folder / name / file).write_bytes(content)
    return folder


def test_the_transformer_has_the_released_names_and_loads(folder):
    names = read_header(folder / "transformer.safetensors")[0]
    assert _patterns(names) == _patterns(_golden_names("dit_model.safetensors"))
    assert load_transformer(folder / "transformer.safetensors").shape == TRANSFORMER_SHAPE


def test_the_vae_has_the_released_names(folder):
    released = json.loads((GOLDEN / "vae_full_state_dict.json").read_text())["shapes"]
    assert _patterns(read_header(folder / "vae.safetensors")[0]) == _patterns(released)


@pytest.mark.parametrize(("name", "prefix"), [("llama", "llm_model."), ("clip", "clip_model.")])
def test_the_text_encoders_have_the_released_names(folder, name, prefix):
    golden = [each for each in _golden_names("text_models.safetensors") if each.startswith(prefix)]
    assert _patterns(read_header(folder / name / "model.safetensors")[0]) == _patterns(
        each.removeprefix(prefix) for each in golden
    )


def test_latents_vary_as_those_of_the_released_vae_do(folder):
    vae = load_vae(folder / "vae.safetensors", **CPU)
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (1, 5, 64, 80, 3), generator=generator, dtype=torch.uint8)
    latents = encode(vae, normalize_pixels(frames, **CPU), generators=[generator])
    assert latents.shape == (1, 16, 2, 8, 10)
    assert (latents * LATENT_SCALE).std().item() == pytest.approx(1, abs=0.4)


def test_different_captions_have_different_encodings(folder):
    states, mask = encode_llm(load_llm(folder / "llama", **CPU), ["a cat", "a rocket"])
    pooled, _ = encode_clip(load_clip(folder / "clip", **CPU), ["a cat", "a rocket"])
    assert states.shape == (2, 256, TRANSFORMER_SHAPE.text_width)
    assert pooled.shape == (2, TRANSFORMER_SHAPE.pooled_width)
    assert mask.sum(dim=1).tolist() == [3, 3]  # two words and the end of the turn
    for both in (states[:, 1], pooled):
        assert torch.isfinite(both).all()
        assert not torch.allclose(both[0], both[1], atol=0.1)


def test_a_velocity_is_finite_and_of_the_size_of_noise(folder):
    model = load_transformer(folder / "transformer.safetensors", dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        velocity = model(
            torch.randn(1, 16, 2, 8, 10, generator=generator),
            torch.tensor([900.0]),
            text_states=torch.randn(1, 6, TRANSFORMER_SHAPE.text_width, generator=generator),
            text_mask=torch.ones(1, 6),
            pooled_text=torch.randn(1, TRANSFORMER_SHAPE.pooled_width, generator=generator),
            guidance=torch.tensor([1.0]),
        )
    assert 0.5 < velocity.std().item() < 2


def test_another_process_makes_the_same_bytes(folder):
    here = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    there = subprocess.run(
        [sys.executable, "-c", PRINT_HASHES], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    assert json.loads(there.stdout) == {name: hashlib.sha256(content).hexdigest() for name, content in here.items()}


def test_the_weights_differ_from_layer_to_layer():
    weights = safetensors.torch.load(make_transformer())
    first, second = (weights[f"single_blocks.{index}.linear1.weight"] for index in range(2))
    assert not torch.equal(first, second)


def _golden_names(file: str) -> list[str]:
    with safe_open(GOLDEN / file, framework="pt") as opened:
        return list(opened.keys())


def _patterns(names) -> set[str]:
    """The names with every number of a block or layer replaced, so that models of any depth compare."""
    return {re.sub(r"\.\d+\.", ".N.", re.sub(r"\.\d+\.", ".N.", name)) for name in names}
