"""Noise levels: the maps and draws of the reference, their range, and their strata."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.errors import OptionError
from backend.training.flow_matching import add_noise
from backend.training.noise_sampling import NoiseSampling, draw_noise_levels
from backend.training.stratified import stratified_uniforms

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "timesteps.safetensors")
LATENT_SIZE = (34, 60)

MAPS = {
    "uniform": NoiseSampling("uniform"),
    "uniform_200_800": NoiseSampling("uniform", min_timestep=200, max_timestep=800),
    "sigmoid": NoiseSampling("sigmoid"),
    "sigmoid_s0.5": NoiseSampling("sigmoid", sigmoid_scale=0.5),
    "sigmoid_s2": NoiseSampling("sigmoid", sigmoid_scale=2.0),
    "shift_1": NoiseSampling("shift", 1.0),
    "shift_3": NoiseSampling("shift", 3.0),
    "shift_7": NoiseSampling("shift", 7.0),
    "shift_14.5": NoiseSampling("shift", 14.5),
    "shift_7_s0.5": NoiseSampling("shift", 7.0, 0.5),
    "shift_3_100_900": NoiseSampling("shift", 3.0, min_timestep=100, max_timestep=900),
    "flux_shift": NoiseSampling("flux_shift"),
    "flux2_shift": NoiseSampling("flux2_shift"),
    "qwen_shift": NoiseSampling("qwen_shift"),
    "krea2_shift": NoiseSampling("krea2_shift"),
    "logsnr": NoiseSampling("logsnr"),
    "logsnr_m1_s2": NoiseSampling("logsnr", logit_mean=1.0, logit_std=2.0),
}
DRAWS = {
    "sigma": NoiseSampling("sigma"),
    "sigma_logit_normal": NoiseSampling("sigma", weighting_scheme="logit_normal"),
    "sigma_mode": NoiseSampling("sigma", weighting_scheme="mode"),
    "uniform": NoiseSampling("uniform"),
    "sigmoid": NoiseSampling("sigmoid"),
    "shift_7": NoiseSampling("shift", 7.0),
    "flux_shift": NoiseSampling("flux_shift"),
    "logsnr": NoiseSampling("logsnr"),
    "shift_3_200_700_preserve": NoiseSampling(
        "shift", 3.0, min_timestep=200, max_timestep=700, preserve_distribution_shape=True
    ),
}
METHODS = ["sigma", "uniform", "sigmoid", "shift", "flux_shift", "flux2_shift", "qwen_shift", "krea2_shift"]
METHODS += ["ideogram4_shift", "logsnr", "qinglong_flux", "qinglong_qwen"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(sampling, count=20_000, seed=0):
    return draw_noise_levels(count, sampling, generator=generator(seed), latent_size=LATENT_SIZE)


@pytest.mark.parametrize("name", MAPS)
def test_noise_levels_follow_from_uniform_numbers_as_in_the_reference(name):
    levels = draw_noise_levels(33, MAPS[name], generator=generator(), latent_size=LATENT_SIZE, uniforms=GOLDEN["u"])
    torch.testing.assert_close(levels.sigmas, GOLDEN[f"map.{name}.t"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(levels.timesteps, GOLDEN[f"map.{name}.timestep"], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("seed", [0, 1234])
@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_draws_the_levels_that_the_reference_draws(name, seed):
    size = GOLDEN["seeded.latents"].shape[-2:]
    levels = draw_noise_levels(6, DRAWS[name], generator=generator(seed), latent_size=tuple(size))
    noisy = add_noise(GOLDEN["seeded.latents"], GOLDEN["seeded.noise"], levels.sigmas)
    wanted = GOLDEN[f"seeded.{name}.{seed}.timestep"].float().flatten()
    torch.testing.assert_close(levels.timesteps, wanted, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(noisy, GOLDEN[f"seeded.{name}.{seed}.noisy"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1234])
@pytest.mark.parametrize(("low", "high"), [(0, 500), (800, 1000)])
def test_the_range_of_the_discrete_method_is_that_of_the_reference_turned_round(low, high, seed):
    sampling = NoiseSampling("sigma", min_timestep=low, max_timestep=high)
    levels = draw_noise_levels(6, sampling, generator=generator(seed))
    reference = GOLDEN[f"seeded.sigma_{low}_{high}.{seed}.timestep"].float().flatten()
    torch.testing.assert_close(levels.timesteps, reference + (low + high - 1000), atol=1e-3, rtol=0)
    assert levels.timesteps.min() > low and levels.timesteps.max() <= high


@pytest.mark.parametrize("preserve", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_to_the_range_of_real_timesteps(method, preserve):
    sampling = NoiseSampling(method, 3.0, min_timestep=150, max_timestep=620, preserve_distribution_shape=preserve)
    sigmas = draw(sampling, count=2000).sigmas
    assert sigmas.min() >= 0.15 and sigmas.max() <= 0.62
    assert sigmas.max() - sigmas.min() > 0.3
    assert sigmas.dtype == torch.float32 and len(sigmas) == 2000


@pytest.mark.parametrize("method", METHODS)
def test_a_range_that_preserves_the_shape_only_cuts_the_distribution_off(method):
    whole = draw(NoiseSampling(method, 3.0), count=100_000).sigmas
    limits = {"min_timestep": 150, "max_timestep": 620, "preserve_distribution_shape": True}
    cut = draw(NoiseSampling(method, 3.0, **limits), seed=1).sigmas
    inside = whole[(whole > 0.15) & (whole <= 0.62)]
    quantiles = torch.linspace(0.05, 0.95, 19)
    torch.testing.assert_close(cut.quantile(quantiles), inside.quantile(quantiles), atol=0.012, rtol=0)


@pytest.mark.parametrize("method", ["uniform", "sigmoid", "shift", "qwen_shift", "logsnr", "ideogram4_shift"])
@pytest.mark.parametrize("preserve", [False, True])
def test_uniform_numbers_give_the_distribution_that_is_drawn_without_them(method, preserve):
    sampling = NoiseSampling(method, 3.0, min_timestep=100, max_timestep=900, preserve_distribution_shape=preserve)
    uniforms = (torch.arange(20_000) + 0.5) / 20_000
    given = draw_noise_levels(20_000, sampling, generator=generator(), latent_size=LATENT_SIZE, uniforms=uniforms)
    quantiles = torch.linspace(0.05, 0.95, 19)
    torch.testing.assert_close(
        given.sigmas.quantile(quantiles), draw(sampling).sigmas.quantile(quantiles), atol=0.015, rtol=0
    )


def test_mixed_methods_draw_the_shares_they_promise():
    """Above a log signal-to-noise ratio of 3 lies nearly all of the clean tenth, and little of the others."""
    clean = [(draw(NoiseSampling(method)).sigmas < 0.15).float().mean() for method in ("qinglong_flux", "flux_shift")]
    assert 0.09 < clean[0] - 0.79 * clean[1] < 0.14


def test_a_range_without_anything_to_draw_is_an_error_with_the_way_out():
    sampling = NoiseSampling("shift", 1000.0, 0.1, min_timestep=0, max_timestep=1, preserve_distribution_shape=True)
    with pytest.raises(OptionError, match=r"only 0 lie in timesteps 0 to 1"):
        draw(sampling, count=10)
    with pytest.raises(OptionError, match="draws practically nothing"):
        draw_noise_levels(1, sampling, generator=generator(), uniforms=torch.rand(1))


@pytest.mark.parametrize(("method", "highest"), [("sigma", 50), ("shift", 100), ("logsnr", 200)])
def test_a_range_that_is_seldom_drawn_serves_every_micro_batch(method, highest):
    """One level in 2,000 to 4,000: after a thousand draws more than half of the micro-batches would have none."""
    weighting = {"weighting_scheme": "logit_normal", "logit_mean": -0.5}
    sampling = NoiseSampling(method, 3.0, max_timestep=highest, preserve_distribution_shape=True, **weighting)
    for seed in range(30):
        assert draw(sampling, count=1, seed=seed).sigmas <= highest / 1000


def test_strata_are_met_equally_often_and_every_batch_gets_as_many_as_it_has_items():
    sizes = [2, 1, 3, 2] * 10
    uniforms = stratified_uniforms(sizes, strata=8, seed=5, epoch=2)
    assert [len(numbers) for numbers in uniforms] == sizes
    counts = (torch.cat(uniforms) * 8).long().bincount(minlength=8)
    assert counts.tolist() == [10] * 8


def test_strata_of_a_short_epoch_differ_by_one_at_most():
    counts = (torch.cat(stratified_uniforms([1] * 11, strata=4, seed=0, epoch=1)) * 4).long().bincount(minlength=4)
    assert sorted(counts.tolist()) == [2, 3, 3, 3]


def test_the_numbers_of_an_epoch_follow_from_seed_and_epoch_alone():
    first, again, other = (torch.cat(stratified_uniforms([2, 2], strata=4, seed=3, epoch=epoch)) for epoch in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
