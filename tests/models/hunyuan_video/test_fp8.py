"""Weights in 8 bits: how exact they are, that gradients pass, and what they weigh."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import mse_loss

from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.models.hunyuan_video.fp8 import Float8Linear, from_float8, keep_in_float8, to_float8
from backend.networks.lora import create_lora
from backend.plan.modules import block_linears
from tests.models.hunyuan_video.golden_transformer import GOLDEN, MODEL_FILE
from tests.networks.test_lora import part, predict

KINDS = ("plain", "scaled")


def relative_error(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


def load(float8=None):
    return load_transformer(MODEL_FILE, dtype=torch.float32, float8=float8)


@pytest.mark.parametrize("width", [64, 256, 48])
def test_scaled_weights_come_back_to_a_sixteenth_and_keep_what_is_small(width):
    weight = torch.randn(8, width, generator=torch.Generator().manual_seed(0)) * 1e-4
    small, scale = to_float8(weight, "scaled")
    assert small.dtype == torch.float8_e4m3fn and scale.shape == (8, max(1, width // 64) if width % 64 == 0 else 1, 1)
    found = from_float8(small, scale, torch.float32)
    assert relative_error(found, weight) < 0.03
    plain, _ = to_float8(weight, "plain")
    assert relative_error(from_float8(plain, None, torch.float32), weight) > 0.5


def test_what_is_too_large_is_cut_off_in_place_of_becoming_no_number():
    plain, _ = to_float8(torch.tensor([[1000.0, -1000.0]]), "plain")
    assert from_float8(plain, None, torch.float32).tolist() == [[448.0, -448.0]]
    zeros, scale = to_float8(torch.zeros(2, 64), "scaled")
    assert from_float8(zeros, scale, torch.float32).abs().sum() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_output_and_gradient_are_those_of_the_widened_weight(kind):
    linear = nn.Linear(64, 32)
    model = nn.Sequential(linear)
    keep_in_float8(model, ["0"], kind)
    small, scale = to_float8(linear.weight.detach(), kind)
    model.load_state_dict(
        {"0.weight": small, "0.bias": linear.bias.detach()} | ({"0.scale": scale} if scale is not None else {}),
        assign=True,
    )
    wide = from_float8(small, scale, torch.float32)
    x = torch.randn(3, 5, 64, requires_grad=True)
    out = model(x)
    torch.testing.assert_close(out, nn.functional.linear(x, wide, linear.bias))
    out.square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * out.detach() @ wide)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(x).dtype == torch.bfloat16


def test_predictions_stay_near_and_scales_make_them_more_exact():
    golden = load_file(GOLDEN / "dit_b1.safetensors")
    errors = {}
    for kind in KINDS:
        model = load(kind)
        assert isinstance(model.double_blocks[0].img_attn_qkv, Float8Linear)
        assert model.time_in.mlp[0].weight.dtype == torch.float32
        with torch.no_grad():
            errors[kind] = relative_error(predict(model, golden), golden["out"])
    assert errors["scaled"] < errors["plain"] < 0.04


@pytest.mark.parametrize(("deviation", "gain"), [(0.02, 1.2), (0.01, 2.0), (0.003, 5.0)])
def test_scales_pay_where_weights_are_small(deviation, gain):
    weight = torch.randn(64, 512, generator=torch.Generator().manual_seed(1)) * deviation
    plain, scaled = (relative_error(from_float8(*to_float8(weight, kind), torch.float32), weight) for kind in KINDS)
    assert plain > gain * scaled


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_lora_learns_on_8_bit_weights_as_on_wide_ones(checkpointing):
    golden = load_file(GOLDEN / "dit_b1.safetensors")
    gradients = {}
    for kind in (None, "scaled"):
        model = load(kind)
        model.gradient_checkpointing = checkpointing
        names = [module.name for module in block_linears(model.shape) if "mod" not in module.name]
        network = create_lora(model, names, rank=4, alpha=2.0)
        network.load_state_dict(part(golden, "lora."))
        mse_loss(predict(model, golden), golden["in.target"]).backward()
        gradients[kind] = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
    assert relative_error(gradients["scaled"], gradients[None]) < 0.1
