"""The video autoencoder against the values of the reference implementation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLHunyuanVideo
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from backend.errors import ModelFileError, OptionError
from backend.models.hunyuan_video.vae import (
    ChunkedConv3d,
    compute_in_chunks,
    decode,
    enable_spatial_tiling,
    encode,
    load_vae,
    normalize_pixels,
    read_configuration,
)

GOLDEN = Path(__file__).parents[1] / "golden"
MODEL = GOLDEN / "vae_model.safetensors"


@pytest.fixture(scope="module")
def values() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "vae_io.safetensors")


@pytest.fixture
def vae():
    return load_vae(MODEL, device="cpu", dtype=torch.float32)


def assert_near(found: torch.Tensor, wanted: torch.Tensor, *, relative: float = 1e-5) -> None:
    """To a part of the largest magnitude, as the golden values promise."""
    assert_close(found, wanted, rtol=0, atol=relative * wanted.abs().max().item())


def posterior(vae, pixels: torch.Tensor):
    with torch.no_grad():
        return vae.encode(pixels).latent_dist


@pytest.mark.parametrize("case", ["video9", "image", "video5b2"])
def test_the_posterior_is_that_of_the_reference(vae, values, case):
    found = posterior(vae, values[f"{case}.in"])
    assert_near(found.mean, values[f"{case}.mean"])
    assert_near(found.logvar, values[f"{case}.logvar"])


@pytest.mark.parametrize("case", ["video9", "image", "video5b2"])
def test_encoding_draws_the_same_latents_from_the_same_seed(vae, values, case):
    pixels = values[f"{case}.in"]
    generator = torch.Generator().manual_seed(9)
    found = encode(vae, pixels, generators=[generator] * len(pixels))
    assert_near(found, values[f"{case}.sample_seed9"])


@pytest.mark.parametrize("case", ["video9", "image", "video5b2"])
def test_decoding_gives_the_pixels_of_the_reference(vae, values, case):
    assert_near(decode(vae, values[f"{case}.mean"]), values[f"{case}.decoded"])


def test_an_items_latents_do_not_depend_on_its_neighbours_in_the_batch(vae, values):
    pixels = values["video5b2.in"]
    together = encode(vae, pixels, generators=[torch.Generator().manual_seed(seed) for seed in (1, 2)])
    alone = encode(vae, pixels[1:], generators=[torch.Generator().manual_seed(2)])
    assert_near(together[1:], alone)


def test_a_long_clip_is_encoded_in_one_piece(vae):
    pixels = torch.rand(1, 3, 33, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        whole = vae.quant_conv(vae.encoder(pixels))
    assert torch.equal(posterior(vae, pixels).mean, whole[:, :16])


def test_tiles_begin_like_the_references_tiles(vae, values):
    enable_spatial_tiling(vae, tile_pixels=48)
    found = posterior(vae, values["tiled.in"]).mean
    assert found.shape == values["untiled.mean"].shape
    assert_near(found[..., :4, :4], values["tiled.mean"][..., :4, :4])


def test_tiles_are_blended_linearly_over_a_quarter(vae, values):
    pixels = values["tiled.in"][..., :32, :]
    enable_spatial_tiling(vae, tile_pixels=32)
    found = posterior(vae, pixels).mean
    left, right = posterior(vae, pixels[..., :32]).mean, posterior(vae, pixels[..., 24:56]).mean
    assert_near(found[..., :3], left[..., :3])
    assert_near(found[..., 3], left[..., 3])  # the blend over one latent begins with the left tile alone
    assert_near(found[..., 4:6], right[..., 1:3])


@pytest.mark.parametrize("columns", [1, 5, 8, 16])
def test_working_in_chunks_changes_nothing(vae, values, columns):
    pixels = values["tiled.in"]
    mean = posterior(vae, pixels).mean
    decoded = decode(vae, mean)
    compute_in_chunks(vae, columns)
    assert_near(posterior(vae, pixels).mean, mean)
    assert_near(decode(vae, mean), decoded)


def test_no_convolution_sees_more_columns_than_one_and_a_half_chunks(vae, values):
    compute_in_chunks(vae, 8)
    widths = []
    for module in vae.modules():
        if isinstance(module, ChunkedConv3d):
            module.conv.register_forward_hook(lambda conv, _, out: widths.append(out.shape[-1] * conv.stride[2]))
    posterior(vae, values["tiled.in"])
    assert max(widths) < 1.5 * 8 and len(widths) > 20


def test_a_tile_that_latents_do_not_fill_is_refused(vae):
    with pytest.raises(OptionError, match="100, wanted a multiple of 8 from 32"):
        enable_spatial_tiling(vae, tile_pixels=100)


def test_pixels_run_from_minus_one_to_one_in_the_order_of_the_encoder():
    frames = torch.zeros(2, 5, 16, 24, 3, dtype=torch.uint8)
    frames[1, 4, 0, 0, 2] = 255
    pixels = normalize_pixels(frames, device="cpu", dtype=torch.float16)
    assert pixels.shape == (2, 3, 5, 16, 24)
    assert pixels.dtype == torch.float16
    assert pixels[1, 2, 4, 0, 0] == 1
    assert pixels[0].unique().tolist() == [-1]


def test_a_pt_file_with_a_prefix_and_a_wrapper_is_read(tmp_path):
    weights = load_file(MODEL)
    stored = {f"vae.{name}": tensor for name, tensor in weights.items()} | {"other.weight": torch.zeros(1)}
    torch.save({"state_dict": stored, "step": 3}, tmp_path / "vae.pt")
    vae = load_vae(tmp_path / "vae.pt", device="cpu", dtype=torch.bfloat16)
    for name, tensor in vae.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_the_released_model_is_recognised_by_its_shapes():
    shapes = json.loads((GOLDEN / "vae_full_state_dict.json").read_text())["shapes"]
    with torch.device("meta"):
        stored = {name: torch.empty(shape) for name, shape in shapes.items()}
        made = AutoencoderKLHunyuanVideo(**read_configuration(Path("vae.pt"), stored))
    assert {name: list(tensor.shape) for name, tensor in made.state_dict().items()} == shapes
    assert made.config.norm_num_groups == 32


def test_a_missing_tensor_is_named(tmp_path):
    weights = load_file(MODEL)
    del weights["quant_conv.bias"]
    save_file(weights, tmp_path / "vae.safetensors")
    with pytest.raises(ModelFileError, match=r"1 tensor is missing: quant_conv\.bias"):
        load_vae(tmp_path / "vae.safetensors", device="cpu", dtype=torch.float32)


def test_another_kind_of_file_is_told():
    with pytest.raises(ModelFileError, match=r"HunyuanVideo transformer.*wanted: HunyuanVideo VAE"):
        load_vae(GOLDEN / "dit_model.safetensors", device="cpu", dtype=torch.float32)


@pytest.mark.parametrize(("name", "message"), [("cut.safetensors", "cut short"), ("cut.pt", "cannot be read")])
def test_a_damaged_file_is_told(tmp_path, name, message):
    (tmp_path / name).write_bytes(MODEL.read_bytes()[:5000])
    with pytest.raises(ModelFileError, match=message):
        load_vae(tmp_path / name, device="cpu", dtype=torch.float32)
