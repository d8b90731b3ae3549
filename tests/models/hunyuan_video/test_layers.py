"""Sinusoids and rotary tables against the reference and against their plain formulas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from backend.models.hunyuan_video.heads import RMSNorm, rotate
from backend.models.hunyuan_video.layers import modulated_norm, rope_tables, split_heads, timestep_embedding
from backend.plan.modules import TransformerShape
from tests.models.hunyuan_video.golden_transformer import load_case

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", ["1x34x60", "5x12x20"])
def test_full_size_rope_is_that_of_the_reference(size):
    case = load_case("rope_full")
    frames, height, width = map(int, size.split("x"))
    rope = rope_tables(
        (frames, height // 2, width // 2), TransformerShape.full_size().rope_dims, text_tokens=256, device=CPU
    )
    tokens = case[f"{size}.shape"][0]
    for kind, table in zip(("cos", "sin"), rope, strict=True):
        pairs = table[:tokens].repeat_interleave(2, dim=1)
        assert pairs.shape == tuple(case[f"{size}.shape"])
        assert torch.allclose(pairs[case[f"{size}.rows"]], case[f"{size}.{kind}"], atol=1e-5)
        assert torch.allclose(pairs.double().sum(), case[f"{size}.{kind}_sum"], rtol=1e-5)


def test_text_tokens_are_not_rotated():
    rope = rope_tables((1, 2, 2), (4, 14, 14), text_tokens=3, device=CPU)
    x = torch.randn(1, 7, 2, 32)
    rotated = rotate(x, rope)
    assert torch.equal(rotated[:, 4:], x[:, 4:])
    assert not torch.equal(rotated[:, 1:4], x[:, 1:4])


def test_rotation_keeps_lengths_and_the_dtype():
    rope = rope_tables((2, 3, 4), (4, 14, 14), text_tokens=0, device=CPU)
    x = torch.randn(2, 24, 2, 32)
    assert torch.allclose(rotate(x, rope).norm(dim=-1), x.norm(dim=-1), rtol=1e-5)
    assert rotate(x.bfloat16(), rope).dtype == torch.bfloat16


def test_rope_tables_are_made_once_for_a_size():
    first = rope_tables((3, 4, 5), (4, 14, 14), text_tokens=2, device=CPU)
    assert rope_tables((3, 4, 5), (4, 14, 14), text_tokens=2, device=CPU)[0] is first[0]


def test_timestep_embedding_is_that_of_the_reference():
    case = load_case("timestep_embedding")
    last_place = torch.finfo(torch.float32).eps / 2  # of a frequency: exp() of two machines may differ by this much
    tolerance = 1e-5 + case["t"][:, None] * last_place
    embedding = timestep_embedding(case["t"])
    assert embedding.dtype == torch.float32
    assert ((embedding - case["emb256"]).abs() <= tolerance).all()


def test_rms_norm_is_computed_in_fp32():
    norm = RMSNorm(32)
    x = torch.full((1, 1, 1, 32), 300.0, dtype=torch.float16)  # its square overflows float16
    assert torch.allclose(norm(x).float(), torch.ones(32))
    assert norm(x).dtype == torch.float16


@pytest.mark.parametrize("batch", [1, 2])
def test_a_norm_is_modulated_by_the_conditioning_of_its_item(batch):
    x, shift, scale = (torch.randn(batch, n, 8, dtype=torch.float64, requires_grad=True) for n in (5, 1, 1))
    expected = F.layer_norm(x, (8,), eps=1e-6) * (1 + scale) + shift
    torch.testing.assert_close(modulated_norm(x, shift, scale), expected)
    assert torch.autograd.gradcheck(modulated_norm, (x, shift, scale))


def test_splitting_heads_copies_nothing():
    qkv = torch.randn(2, 5, 3 * 8)
    q, k, v = split_heads(qkv, heads=2)
    assert torch.equal(torch.cat([part.flatten(2) for part in (q, k, v)], dim=-1), qkv)
    assert q.untyped_storage().data_ptr() == qkv.untyped_storage().data_ptr()
