"""The demo's models are small ones of the real architecture, and they have learned something."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from backend.demo.models import MODELS, model_files
from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.models.hunyuan_video.latent_space import LATENT_SCALE
from backend.models.hunyuan_video.text_encoders import encode_clip, encode_llm, load_clip, load_llm
from backend.models.hunyuan_video.vae import decode, encode, load_vae
from backend.plan.weights_header import read_header
from demo_base.autoencoder import clip_batch
from demo_base.corpus import Encoders, join_parts, make_part
from demo_base.measures import held_out_losses
from demo_base.samples import Sampler, direction, dominant_colour
from demo_base.scenes import BACKGROUNDS, Figure, Scene, draw
from demo_base.transformer import SHAPE

GOLDEN = Path(__file__).parents[1] / "golden"
CPU = {"device": "cpu", "dtype": torch.float32}


def test_all_files_together_are_small():
    files = model_files()
    assert {name.split("/")[0] for name in files} == {"transformer.safetensors", "vae.safetensors", "llama", "clip"}
    assert sum(map(len, files.values())) < 20_000_000


def test_the_transformer_has_the_released_names_and_loads():
    names = read_header(MODELS / "transformer.safetensors")[0]
    assert _patterns(names) == _patterns(_golden_names("dit_model.safetensors"))
    assert load_transformer(MODELS / "transformer.safetensors").shape == SHAPE


def test_the_vae_has_the_released_names():
    released = json.loads((GOLDEN / "vae_full_state_dict.json").read_text())["shapes"]
    assert _patterns(read_header(MODELS / "vae.safetensors")[0]) == _patterns(released)


@pytest.mark.parametrize(("name", "prefix"), [("llama", "llm_model."), ("clip", "clip_model.")])
def test_the_text_encoders_have_the_released_names(name, prefix):
    golden = [each for each in _golden_names("text_models.safetensors") if each.startswith(prefix)]
    assert _patterns(read_header(MODELS / name / "model.safetensors")[0]) == _patterns(
        each.removeprefix(prefix) for each in golden
    )


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    figures = [Figure("circle", "red", "large", "right"), Figure("heart", "yellow", "large", "still")]
    return [Scene((figure,), background) for figure, background in zip(figures, ("white", "navy"), strict=True)]


def test_the_vae_gives_back_what_it_encoded_and_latents_vary_as_those_of_the_released_one(scenes):
    vae = load_vae(MODELS / "vae.safetensors", **CPU)
    pixels = clip_batch([draw(scene, 9) for scene in scenes])
    latents = encode(vae, pixels, generators=[torch.Generator().manual_seed(index) for index in range(len(scenes))])
    assert latents.shape == (2, 16, 3, 8, 8)
    assert (latents * LATENT_SCALE).std().item() == pytest.approx(1, abs=0.4)
    assert (decode(vae, latents) - pixels).abs().mean() < 0.1  # of a range of 2


def test_different_captions_have_different_encodings():
    captions = ["a red circle", "a blue heart"]
    states, mask = encode_llm(load_llm(MODELS / "llama", **CPU), captions)
    pooled, _ = encode_clip(load_clip(MODELS / "clip", **CPU), captions)
    assert states.shape == (2, 256, SHAPE.text_width)
    assert pooled.shape == (2, SHAPE.pooled_width)
    assert mask.sum(dim=1).tolist() == [4, 4]  # three words and the end of the turn
    for both in (states[:, 1], pooled):
        assert not torch.allclose(both[0], both[1], atol=0.1)


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    return Sampler(Encoders.load(MODELS), load_transformer(MODELS / "transformer.safetensors", dtype=torch.float32))


def test_the_velocity_of_scenes_never_seen_is_predicted(sampler):
    part = make_part(sampler.encoders, seed=123, held_out=True, sizes={1: 6, 9: 6})
    losses = held_out_losses(sampler.transformer, join_parts([part]))
    assert losses["mean"] < 0.4  # 2 would be told by a model that knows nothing


@pytest.mark.parametrize(("colour", "background"), [("red", "white"), ("yellow", "navy"), ("green", "black")])
def test_samples_have_the_colours_of_their_prompt(sampler, colour, background):
    clip = sampler.clip(f"a large {colour} circle on a {background} background", seed=1)
    assert clip.shape == (9, 64, 64, 3)
    assert dominant_colour(clip[0], background) == colour
    corner = clip[0, 30:34, :3].reshape(-1, 3).mean(axis=0)
    assert np.abs(corner - np.array(BACKGROUNDS[background])).max() < 40


@pytest.mark.parametrize("motion", ["right", "left"])
def test_samples_move_as_their_prompt_says(sampler, motion):
    assert direction(sampler.clip(f"a red circle moves to the {motion} on a white background", seed=1), "red") == motion


def _golden_names(file: str) -> list[str]:
    with safe_open(GOLDEN / file, framework="pt") as opened:
        return list(opened.keys())


def _patterns(names) -> set[str]:
    """The names with every number of a block or layer replaced, so that models of any depth compare."""
    return {re.sub(r"\.\d+\.", ".N.", re.sub(r"\.\d+\.", ".N.", name)) for name in names}
