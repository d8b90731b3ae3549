"""LoRA, LoHa and LoKr on one Linear, against the dense weight that their matrices make, in float64."""

import math

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import linear

from backend.models.hunyuan_video.fp8 import Float8Linear, from_float8, to_float8
from backend.networks.adapter import Dropouts
from backend.networks.kinds import ADAPTERS
from backend.networks.loha import _LowRankProduct, _WholeProduct
from backend.plan.adapters import LABELS, LOHA, LOKR, adapter_size
from backend.plan.modules import LinearModule
from tests.networks.small_adapters import CASES, IN, OUT, make_adapter, scale_of, weight_change

DRAWN = ("LoHa", "LoHa, whole weight", "LoKr", "LoKr, whole w2")
"""Those that drop outputs."""


def inputs(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5)).to(dtype)


def dense_output(adapter, x: torch.Tensor, *, scale: float) -> torch.Tensor:
    """Base and change as one weight, in float64."""
    matrices = {name: matrix.double() for name, matrix in adapter.parts().items()}
    weight = adapter.base.weight.double() + scale * weight_change(matrices)
    return linear(x.double(), weight, adapter.base.bias.double())


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max()).item()


def test_every_kind_has_its_class_and_the_cases_are_what_they_say():
    assert ADAPTERS.keys() == LABELS.keys() == {kind for kind, _ in CASES.values()}
    assert make_adapter("LoHa")._product is _LowRankProduct
    assert make_adapter("LoHa, whole weight")._product is _WholeProduct
    assert [make_adapter(case).is_full for case in ("LoKr", "LoKr, whole w2")] == [False, True]
    assert make_adapter("LoKr").lokr_w1.shape == (5, 4) and make_adapter("LoKr, factor 8").lokr_w1.shape == (5, 3)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", [(2, 7, IN), (3, IN), (2, 3, 4, IN)])
def test_output_and_gradients_are_those_of_the_dense_weight(case, shape):
    adapter = make_adapter(case, dtype=torch.float64)
    x = inputs(*shape, dtype=torch.float64).requires_grad_()
    weights = inputs(*shape[:-1], OUT, dtype=torch.float64)
    leaves = [x, *adapter.parts().values()]

    out, expected = adapter(x), dense_output(adapter, x, scale=scale_of(case))
    torch.testing.assert_close(out, expected)
    found_gradients = torch.autograd.grad((out * weights).sum(), leaves)
    expected_gradients = torch.autograd.grad((expected * weights).sum(), leaves)
    for found, gradient in zip(found_gradients, expected_gradients, strict=True):
        torch.testing.assert_close(found, gradient)


@pytest.mark.parametrize("case", CASES)
def test_the_matrices_learn_where_the_input_needs_no_gradient(case):
    adapter = make_adapter(case, dtype=torch.float64)
    x = inputs(2, 7, IN, dtype=torch.float64)
    matrices = list(adapter.parts().values())
    found = torch.autograd.grad(adapter(x).square().sum(), matrices)
    expected = torch.autograd.grad(dense_output(adapter, x, scale=scale_of(case)).square().sum(), matrices)
    for gradient, right in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, right)


@pytest.mark.parametrize("case", CASES)
def test_the_change_for_merging_is_the_dense_one(case):
    adapter = make_adapter(case)
    change = adapter.change(adapter.parts(), adapter.alpha.item())
    expected = scale_of(case) * weight_change({name: matrix.double() for name, matrix in adapter.parts().items()})
    torch.testing.assert_close(change, expected.float())


@pytest.mark.parametrize("case", CASES)
def test_the_norm_of_the_change_is_the_dense_one_and_shrinks_as_asked(case):
    adapter = make_adapter(case)
    norm = (scale_of(case) * weight_change(adapter.parts())).norm().item()
    assert adapter.weight_norm().item() == pytest.approx(norm, rel=1e-5)
    with torch.no_grad():
        adapter.shrink(0.3)
    assert (scale_of(case) * weight_change(adapter.parts())).norm().item() == pytest.approx(0.3 * norm, rel=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_on_a_bfloat16_base_everything_but_the_base_is_float32_and_rounded_once(case):
    adapter = make_adapter(case)
    adapter.base.to(torch.bfloat16)
    x = inputs(2, 7, IN, dtype=torch.bfloat16)
    matrices = {name: matrix.double() for name, matrix in adapter.parts().items()}
    delta = x.double() @ (scale_of(case) * weight_change(matrices)).T
    out = adapter(x)
    torch.testing.assert_close(out, (adapter.base(x).double() + delta).to(torch.bfloat16))
    out.float().sum().backward()
    assert {matrix.grad.dtype for matrix in adapter.parts().values()} == {torch.float32}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("x_dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_everything_is_computed_in_its_dtype(case, x_dtype):
    adapter = make_adapter(case)
    x = inputs(2, 7, IN, dtype=x_dtype)
    with torch.autocast("cpu", torch.bfloat16):
        out = adapter(x)
    assert out.dtype == torch.bfloat16
    assert relative_error(out, dense_output(adapter, x, scale=scale_of(case))) < 0.03
    out.float().sum().backward()
    assert {matrix.grad.dtype for matrix in adapter.parts().values()} == {torch.float32}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["plain", "scaled"])
def test_a_base_in_8_bits_is_a_base(case, kind):
    adapter = make_adapter(case)
    small, scale = to_float8(adapter.base.weight.detach(), kind)
    adapter.base = Float8Linear(adapter.base, kind)
    adapter.base.weight.data = small
    adapter.base.scale = scale
    wide = from_float8(small, scale, torch.float64)
    x = inputs(2, 7, IN)
    matrices = {name: matrix.double() for name, matrix in adapter.parts().items()}
    expected = linear(x.double(), wide + scale_of(case) * weight_change(matrices), adapter.base.bias.double())
    torch.testing.assert_close(adapter(x), expected.float())


@pytest.mark.parametrize("case", ["LoHa", "LoHa, whole weight", "LoKr", "LoKr, whole w2"])
def test_no_weight_as_large_as_the_base_is_kept_for_the_backward_pass(case):
    adapter, kept = make_adapter(case), []
    with saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        adapter(inputs(1, IN).requires_grad_()).sum().backward()
    of_base = adapter.base.weight.data_ptr()
    sizes = [tensor.numel() for tensor in kept if tensor.data_ptr() != of_base]
    assert len(sizes) < len(kept) and max(sizes) < IN * OUT


class TestStart:
    """A new adapter 256 -> 512."""

    LINEAR = LinearModule("x", 256, 512)

    def make(self, kind, seed=1, **options):
        base = torch.nn.Linear(256, 512)
        size = adapter_size(kind, self.LINEAR, **{"rank": 4, "alpha": 2.0, **options})
        return ADAPTERS[kind].of_size(base, size, generator=torch.Generator().manual_seed(seed))

    def test_loha_is_normal_with_deviations_of_a_tenth_and_one_and_starts_at_zero(self):
        adapter = self.make(LOHA, rank=32)
        deviations = [adapter.get_parameter(f"hada_{name}").std().item() for name in ("w1_a", "w1_b", "w2_b")]
        assert deviations == pytest.approx([0.1, 1.0, 1.0], rel=0.03)
        assert not adapter.hada_w2_a.any()

    @pytest.mark.parametrize("rank", [4, 16])
    def test_lokr_is_uniform_within_the_bound_of_kaiming_and_starts_at_zero(self, rank):
        adapter = self.make(LOKR, rank=rank)
        assert adapter.lokr_w1.shape == (16, 16) and adapter.is_full == (rank == 16)
        assert adapter.lokr_w1.abs().max().item() == pytest.approx(1 / math.sqrt(16), rel=0.05)  # a = sqrt(5)
        if rank == 16:
            assert not adapter.lokr_w2.any()
        else:
            assert adapter.lokr_w2_a.abs().max().item() == pytest.approx(1 / math.sqrt(4), rel=0.05)
            assert not adapter.lokr_w2_b.any()

    @pytest.mark.parametrize("kind", [LOHA, LOKR])
    def test_a_seed_gives_the_same_matrices_without_touching_the_global_random_numbers(self, kind):
        state = torch.get_rng_state()
        size = adapter_size(kind, LinearModule("x", 8, 8), rank=1)
        base = torch.nn.utils.skip_init(torch.nn.Linear, 8, 8)
        first, again, other = (
            ADAPTERS[kind].of_size(base, size, generator=torch.Generator().manual_seed(seed)).parts()
            for seed in (1, 1, 2)
        )
        assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)

    @pytest.mark.parametrize("kind", [LOHA, LOKR])
    def test_it_changes_nothing_until_it_has_learned(self, kind):
        adapter, x = self.make(kind), inputs(2, 256)
        assert torch.equal(adapter(x), adapter.base(x))

    @pytest.mark.parametrize("kind", [LOHA, LOKR])
    @pytest.mark.parametrize("alpha", [None, 0])
    def test_without_alpha_the_scale_is_one(self, kind, alpha):
        adapter = self.make(kind, alpha=alpha)
        assert (adapter.scale, adapter.alpha.item()) == (1.0, 4.0)

    def test_a_lokr_whose_larger_matrix_is_whole_has_the_rank_for_alpha_and_a_scale_of_one(self):
        adapter = self.make(LOKR, rank=20, alpha=2.0)
        assert (adapter.scale, adapter.alpha.item()) == (1.0, 20.0)
        adapter.load({**adapter.parts(), "alpha": torch.tensor(7.0)})
        assert (adapter.scale, adapter.alpha.item()) == (1.0, 7.0)


@pytest.mark.parametrize("case", DRAWN)
def test_rank_dropout_drops_the_same_outputs_for_a_whole_batch_and_keeps_the_mean(case):
    adapter = make_adapter(case, dropouts=Dropouts(rank=0.25), dtype=torch.float64)
    x = inputs(2, 3, IN, dtype=torch.float64)
    torch.manual_seed(1)
    with torch.no_grad():
        base_out, whole = adapter.base(x), adapter.eval()(x)
        adapter.train()
        factors = torch.stack([(adapter(x) - base_out) / (whole - base_out) for _ in range(400)])
    kept = factors[:, 0, 0].round(decimals=6)  # (400, out)
    torch.testing.assert_close(factors, kept[:, None, None].expand_as(factors), rtol=1e-5, atol=1e-6)
    assert set(kept.abs().unique().tolist()) == {0.0, 1.333333}
    assert kept.mean().item() == pytest.approx(1, abs=0.02)
    assert (kept == 0).double().mean(0).sub(0.25).abs().max() < 0.1  # every output in its turn


@pytest.mark.parametrize("case", DRAWN)
def test_rank_dropout_lets_only_the_kept_outputs_learn(case):
    adapter = make_adapter(case, dropouts=Dropouts(rank=0.5), dtype=torch.float64).train()
    x = inputs(2, 7, IN, dtype=torch.float64)
    matrices = list(adapter.parts().values())
    torch.manual_seed(3)
    kept = (torch.rand(OUT) > 0.5) / 0.5
    torch.manual_seed(3)
    found = torch.autograd.grad(adapter(x).square().sum(), matrices)
    delta = dense_output(adapter, x, scale=scale_of(case)) - adapter.base(x)
    expected = torch.autograd.grad((adapter.base(x) + delta * kept).square().sum(), matrices)
    for gradient, right in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, right)


@pytest.mark.parametrize("case", DRAWN)
def test_module_dropout_leaves_the_base_alone_as_often_as_asked(case):
    adapter, x = make_adapter(case, dropouts=Dropouts(module=0.3)).train(), inputs(1, IN)
    torch.manual_seed(2)
    base_out = adapter.base(x)
    left_out = sum(torch.equal(adapter(x), base_out) for _ in range(1000))
    assert 250 < left_out < 350
    assert not torch.equal(adapter.eval()(x), base_out)
