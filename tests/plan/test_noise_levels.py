"""The plan's distribution of noise levels against the levels that the trainer draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.config.schema import TimestepOptions
from backend.plan.noise_levels import noise_shares
from backend.training.noise_sampling import NoiseSampling, draw_noise_levels

SIZE = (68, 120)
METHODS = (
    "sigma", "uniform", "sigmoid", "shift", "flux_shift", "flux2_shift", "qwen_shift", "krea2_shift",
    "ideogram4_shift", "logsnr", "qinglong_flux", "qinglong_qwen",
)  # fmt: skip


def drawn_shares(options: TimestepOptions, *, bins: int) -> np.ndarray:
    sampling = NoiseSampling(**{name: getattr(options, name) for name in NoiseSampling.__dataclass_fields__})
    generator = torch.Generator().manual_seed(5)
    sigmas = draw_noise_levels(100_000, sampling, generator=generator, latent_size=SIZE).sigmas.numpy()
    return np.histogram(sigmas, bins=bins, range=(0, 1))[0] / len(sigmas)


def assert_as_drawn(options: TimestepOptions) -> None:
    """Equal to what 100,000 draws may differ by: three deviations of a share, or a step of 1/1000 at a bin's edge."""
    told = np.array(noise_shares(options, latent_sizes={SIZE: 1}, bins=20))
    drawn = drawn_shares(options, bins=20)
    assert told.sum() == pytest.approx(1)
    assert np.abs(told - drawn).max() < 0.006


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_shown_as_it_is_drawn(method):
    assert_as_drawn(TimestepOptions(timestep_sampling=method, discrete_flow_shift=7.0, sigmoid_scale=1.2))


@pytest.mark.parametrize("scheme", ["logit_normal", "mode", "sigma_sqrt"])
def test_every_weighting_scheme_of_the_method_sigma(scheme):
    assert_as_drawn(TimestepOptions(weighting_scheme=scheme, logit_mean=0.5, logit_std=0.8, mode_scale=1.29))


@pytest.mark.parametrize("keeps_shape", [False, True])
@pytest.mark.parametrize("method", ["sigma", "shift", "logsnr"])
def test_a_range_squeezes_the_distribution_or_cuts_it_off(method, keeps_shape):
    options = TimestepOptions(
        timestep_sampling=method,
        discrete_flow_shift=3.0,
        min_timestep=200,
        max_timestep=900,
        preserve_distribution_shape=keeps_shape,
    )
    assert_as_drawn(options)
    assert sum(noise_shares(options, latent_sizes={SIZE: 1}, bins=10)[:2]) < 0.005


def test_sizes_count_by_their_weight():
    options = TimestepOptions(timestep_sampling="flux_shift")
    small, large = (np.array(noise_shares(options, latent_sizes={size: 1})) for size in ((32, 32), SIZE))
    mixed = noise_shares(options, latent_sizes={(32, 32): 3, SIZE: 1})
    assert mixed == pytest.approx(0.75 * small + 0.25 * large)
