"""An option for timesteps is grey in the form exactly where it changes nothing of what is drawn and weighed."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from backend.config.configuration import Configuration, all_options
from backend.config.needs import first_unmet
from backend.training.flow_matching import loss_weights
from backend.training.noise_sampling import NoiseSampling, draw_noise_levels

METHODS = all_options()["timestep_sampling"].choices
SCHEMES = all_options()["weighting_scheme"].choices
RANGES = ((None, None), (300, None), (None, 700), (300, 1000), (0, 1000))
CHANGED = {
    "discrete_flow_shift": 3.0,
    "sigmoid_scale": 2.0,
    "logit_mean": 0.7,
    "logit_std": 1.9,
    "mode_scale": 0.6,
}


def drawn(configuration: Configuration) -> tuple[torch.Tensor, torch.Tensor]:
    """The noise levels of 512 items, among which each part of a mixed method is, and their weights in the loss."""
    options = configuration.timesteps
    sampling = NoiseSampling(**{name: getattr(options, name) for name in NoiseSampling.__dataclass_fields__})
    levels = draw_noise_levels(512, sampling, generator=torch.Generator().manual_seed(1), latent_size=(60, 104))
    return levels.timesteps, loss_weights(levels.timesteps, sampling.weighting_scheme)


def acts(before: Configuration, after: Configuration) -> bool:
    return not all(torch.equal(*pair) for pair in zip(drawn(before), drawn(after), strict=True))


def is_grey(name: str, configuration: Configuration) -> bool:
    return first_unmet(all_options()[name].needs, configuration.values()) is not None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CHANGED)
def test_what_shapes_the_distribution_is_grey_where_it_does_nothing(method, name):
    for scheme in SCHEMES:
        before = Configuration().changed(timestep_sampling=method, weighting_scheme=scheme)
        after = before.changed(**{name: CHANGED[name]})
        assert acts(before, after) is not is_grey(name, after), scheme


@pytest.mark.parametrize("method", METHODS)
def test_the_weighting_is_grey_where_it_does_nothing(method):
    for scheme in SCHEMES[1:]:
        before = Configuration().changed(timestep_sampling=method)
        after = before.changed(weighting_scheme=scheme)
        assert acts(before, after) is not is_grey("weighting_scheme", after), scheme


@pytest.mark.parametrize("method", METHODS)
def test_cutting_off_is_grey_where_there_is_nothing_to_cut_off(method):
    for (low, high), scheme in product(RANGES, ("none", "logit_normal")):
        before = Configuration().changed(
            timestep_sampling=method, weighting_scheme=scheme, min_timestep=low, max_timestep=high
        )
        after = before.changed(preserve_distribution_shape=True)
        assert acts(before, after) is not is_grey("preserve_distribution_shape", after), (low, high, scheme)
