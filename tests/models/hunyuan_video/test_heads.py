"""Norm and rotation in one step are what they are one by one, with the gradients of finite differences."""

import pytest
import torch

from backend.models.hunyuan_video.heads import RMSNorm, heads_of, normed_and_rotated, rotate
from backend.models.hunyuan_video.layers import rope_tables

HEADS, HEAD_DIM = 2, 8
ROPE = rope_tables((1, 2, 2), (2, 4, 2), text_tokens=1, device=torch.device("cpu"))  # 4 image tokens, 1 of text
WIDE_ROPE = tuple(table.double() for table in ROPE)


def queries(dtype: torch.dtype = torch.float32, batch: int = 1) -> torch.Tensor:
    """(B, 5, 2, 8), a part of wider rows as the output of a Linear gives it."""
    whole = torch.randn(batch, 5, 3 * HEADS * HEAD_DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return whole.to(dtype).chunk(3, dim=-1)[1].unflatten(-1, (HEADS, HEAD_DIM))


def norm(*, trained: bool = False) -> RMSNorm:
    made = RMSNorm(HEAD_DIM).requires_grad_(trained)
    torch.nn.init.normal_(made.weight, generator=torch.Generator().manual_seed(1))
    return made


@pytest.mark.parametrize("batch", [1, 2])
def test_heads_are_normalised_and_rotated(batch):
    x = queries(batch=batch)
    torch.testing.assert_close(normed_and_rotated(x, norm(), ROPE), rotate(norm()(x), ROPE))


@pytest.mark.parametrize("batch", [1, 2])
def test_the_gradient_is_that_of_finite_differences(batch):
    x = queries(torch.float64, batch).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: normed_and_rotated(x, norm().double(), WIDE_ROPE), x)


def test_the_gradient_of_a_head_of_zeros_is_finite():
    x = torch.zeros(1, 5, HEADS, HEAD_DIM, requires_grad=True)
    normed_and_rotated(x, norm(), ROPE).sum().backward()
    assert x.grad.isfinite().all()


def test_the_weight_of_a_norm_that_is_trained_gets_its_gradient():
    trained = norm(trained=True)
    normed_and_rotated(queries(), trained, ROPE).square().sum().backward()
    expected = norm(trained=True)
    expected(queries()).square().sum().backward()  # turning changes no square
    torch.testing.assert_close(trained.weight.grad, expected.weight.grad)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_16_bits_only_the_result_is_rounded(dtype):
    x = queries(dtype)
    expected = normed_and_rotated(x.float(), norm(), ROPE)
    assert torch.equal(normed_and_rotated(x, norm(), ROPE), expected.to(dtype))


def test_squares_that_overflow_float16_are_computed_in_fp32():
    x = torch.full((1, 5, HEADS, HEAD_DIM), 300.0, dtype=torch.float16)
    turned = normed_and_rotated(x, RMSNorm(HEAD_DIM).requires_grad_(False), ROPE)
    assert turned.dtype == torch.float16
    assert torch.equal(turned[:, 0], torch.ones(1, HEADS, HEAD_DIM, dtype=torch.float16))


def test_values_are_neither_normalised_nor_rotated():
    parts = [queries().flatten(2) for _ in range(3)]
    q, k, v = heads_of(parts, norm(), norm(), ROPE, heads=HEADS)
    assert torch.equal(v, queries()) and torch.equal(q, k) and not torch.equal(q, v)
