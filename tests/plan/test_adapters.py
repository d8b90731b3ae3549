"""Sizes of LoRA, LoHa and LoKr: the reference's factors, shapes, and counts for the full-size model."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.config.options import describe
from backend.config.schema import NetworkOptions
from backend.errors import OptionError
from backend.plan.adapters import LABELS, LOHA, LOKR, LORA, PARTS, adapter_size, adapter_sizes, factorise
from backend.plan.modules import LinearModule, TransformerShape, block_linears
from backend.plan.selection import select_modules, trained_modules

QKV = LinearModule("double_blocks.0.img_attn_qkv", 3072, 9216)
TRAINED = trained_modules(select_modules(block_linears(TransformerShape.full_size())))


@pytest.mark.parametrize(
    ("dimension", "pairs"),
    [
        (3072, {-1: (48, 64), 4: (4, 768), 8: (8, 384), 16: (16, 192)}),
        (9216, {-1: (96, 96), 4: (4, 2304), 8: (8, 1152), 16: (16, 576)}),
        (12288, {-1: (96, 128), 4: (4, 3072), 8: (8, 1536), 16: (16, 768)}),
        (15360, {-1: (120, 128), 4: (4, 3840), 8: (8, 1920), 16: (16, 960)}),
        (21504, {-1: (128, 168), 4: (4, 5376), 8: (8, 2688), 16: (16, 1344)}),
    ],
)
def test_the_factors_of_the_models_sizes_are_those_of_the_reference(dimension, pairs):
    assert {factor: factorise(dimension, factor) for factor in pairs} == pairs


@pytest.mark.parametrize(
    ("dimension", "factor", "pair"),
    [(3072, 768, (4, 768)), (3072, 5, (4, 768)), (3072, 47, (32, 96)), (3072, 10**6, (48, 64)), (7, -1, (1, 7)),
     (7, 3, (1, 7)), (36, -1, (6, 6)), (1, -1, (1, 1)), (8, 0, (1, 8))],
)  # fmt: skip
def test_a_factor_that_divides_is_taken_and_another_is_a_limit(dimension, factor, pair):
    assert factorise(dimension, factor) == pair


def step_by_step(dimension: int, factor: int) -> tuple[int, int]:
    """The search as LyCORIS describes it: from divisor to divisor, until the limit or the middle is passed."""
    if factor > 0 and dimension % factor == 0:
        return tuple(sorted((factor, dimension // factor)))
    smaller, larger = 1, dimension
    for divisor in (number for number in range(2, dimension + 1) if dimension % number == 0):
        if smaller >= larger or (factor >= 0 and divisor > factor):
            break
        smaller, larger = divisor, dimension // divisor
    return tuple(sorted((smaller, larger)))


@given(st.integers(1, 3000), st.integers(-1, 3001))
def test_any_dimension_is_split_as_by_going_through_its_divisors(dimension, factor):
    smaller, larger = factorise(dimension, factor)
    assert smaller * larger == dimension and smaller <= larger
    assert (smaller, larger) == step_by_step(dimension, factor)


@pytest.mark.parametrize(
    ("kind", "options", "shapes"),
    [
        (LORA, {"rank": 32}, {"lora_down.weight": (32, 3072), "lora_up.weight": (9216, 32)}),
        (LOHA, {"rank": 8}, {"hada_w1_a": (9216, 8), "hada_w1_b": (8, 3072), "hada_w2_a": (9216, 8),
                             "hada_w2_b": (8, 3072)}),
        (LOKR, {"rank": 47}, {"lokr_w1": (96, 48), "lokr_w2_a": (96, 47), "lokr_w2_b": (47, 64)}),
        (LOKR, {"rank": 48}, {"lokr_w1": (96, 48), "lokr_w2": (96, 64)}),
        (LOKR, {"rank": 64, "factor": 8}, {"lokr_w1": (8, 8), "lokr_w2_a": (1152, 64), "lokr_w2_b": (64, 384)}),
        (LOKR, {"rank": 576, "factor": 8}, {"lokr_w1": (8, 8), "lokr_w2": (1152, 384)}),
    ],
)  # fmt: skip
def test_shapes_are_the_documented_ones(kind, options, shapes):
    size = adapter_size(kind, QKV, **options)
    assert size.shapes == shapes and shapes.keys() <= set(PARTS[kind])
    assert size.parameters == sum(math.prod(shape) for shape in shapes.values())


def test_the_scale_is_alpha_by_rank_but_one_for_a_whole_matrix():
    assert adapter_size(LOHA, QKV, rank=8, alpha=2).scale == 0.25
    assert adapter_size(LOKR, QKV, rank=8, alpha=2).scale == 0.25
    whole = adapter_size(LOKR, QKV, rank=48, alpha=2)
    assert (whole.scale, whole.alpha, whole.rank) == (1, 48, 48)
    for alpha in (None, 0):
        assert adapter_size(LOHA, QKV, rank=8, alpha=alpha).alpha == 8


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"network_dim": 32}, 117_964_800),
        ({"network_module": LOHA, "network_dim": 32}, 235_929_600),
        ({"network_module": LOKR, "network_dim": 32}, 2_524_160),
        ({"network_module": LOKR, "network_dim": 10_000}, 2_944_000),
        ({"network_module": LOKR, "network_dim": 8, "factor": 16}, 1_904_640),
    ],
)
def test_the_full_size_models_counts_follow_from_its_sizes(options, count):
    sizes = adapter_sizes(NetworkOptions(**options), TRAINED)
    assert sum(size.parameters for size in sizes.values()) == count
    assert len(sizes) == 240


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "network_dim is 0, but the rank has to be at least 1"),
        ({"rank": 4, "alpha": -1.0}, r"network_alpha is -1.0, but has to be 0 \(same as the rank\) or more"),
        ({"rank": 4, "alpha": math.inf}, "network_alpha is inf"),
    ],
)
@pytest.mark.parametrize("kind", LABELS)
def test_impossible_sizes_are_refused(kind, options, message):
    with pytest.raises(OptionError, match=message):
        adapter_size(kind, QKV, **options)


def test_the_kinds_are_the_choices_of_the_option():
    assert describe(NetworkOptions, "network_module").choices == tuple(LABELS) == tuple(PARTS)
