"""The distribution of noise levels that the options draw from, without torch: what the plan shows.

The same formulas as backend/training/noise_sampling.py, which the trainer draws with; a test compares them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from backend.config.schema import TimestepOptions

Numbers = NDArray[np.float64]
TIMESTEPS = 1000
POINTS = 8192

MU_LINES = {
    "flux_shift": (256, 4096, 0.5, 1.15),
    "flux2_shift": (256, 4096, 0.5, 1.15),
    "qwen_shift": (256, 8192, 0.5, 0.9),
    "krea2_shift": (256, 6400, 0.5, 1.15),
}
"""Tokens and mu at both ends of the line of each method that goes by the size of a frame."""

MIXTURES = {
    "qinglong_flux": ((0.79, "flux_shift"), (0.11, "logsnr"), (0.10, "clean")),
    "qinglong_qwen": ((0.95, "qwen_shift"), (0.05, "clean")),
}
"""The share of items that each method of a mixture is used for."""


def noise_shares(
    options: TimestepOptions, *, latent_sizes: Mapping[tuple[int, int], float], bins: int = 50
) -> list[float]:
    """How large a part of the trained noise levels lies in each of so many equal parts of [0, 1]; the sum is 1.

    latent_sizes: height and width of the latents with the weight of each, for the methods that go by them. Where the
    range keeps nothing of a distribution whose shape is to be preserved, all parts are 0.
    """
    total = sum(latent_sizes.values())
    shares = np.zeros(bins)
    for size, weight in latent_sizes.items():
        for share, sigmas in _parts(options, size):
            counts, _ = np.histogram(_in_range(sigmas, options), bins=bins, range=(0, 1))
            shares += share * weight / total * counts / len(sigmas)
    return (shares / shares.sum()).tolist() if shares.sum() else shares.tolist()


def _parts(options: TimestepOptions, size: tuple[int, int]) -> list[tuple[float, Numbers]]:
    """Noise levels as evenly spread over the distribution as can be, before the range; several for a mixture."""
    method = options.timestep_sampling
    if method in MIXTURES:
        return [(share, _of_method(part, options, size)) for share, part in MIXTURES[method]]
    return [(1.0, _of_method(method, options, size))]


def _of_method(method: str, options: TimestepOptions, size: tuple[int, int]) -> Numbers:
    height, width = size
    match method:
        case "sigma":
            return 1 - _density(options)
        case "uniform":
            return _uniform()
        case "sigmoid":
            return _sigmoid(options.sigmoid_scale * _normal())
        case "logsnr":
            return _sigmoid(-(options.logit_mean + options.logit_std * _normal()) / 2)
        case "clean":
            return _sigmoid(-(5.36 + _normal()) / 2)
        case "ideogram4_shift":
            return _sigmoid(0.5 * math.log(16 * height * 16 * width / 512**2) + 1.5 * _normal())
    shift = options.discrete_flow_shift if method == "shift" else _shift_of_size(method, size)
    sigmas = _sigmoid(options.sigmoid_scale * _normal())
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def _density(options: TimestepOptions) -> Numbers:
    """The method sigma's numbers, small for much noise, as the weighting scheme spreads them."""
    uniform = _uniform()
    if options.weighting_scheme == "logit_normal":
        return _sigmoid(options.logit_mean + options.logit_std * _normal())
    if options.weighting_scheme != "mode":
        return uniform
    return 1 - uniform - options.mode_scale * (np.cos(math.pi * uniform / 2) ** 2 - 1 + uniform)


def _in_range(sigmas: Numbers, options: TimestepOptions) -> Numbers:
    """Squeezed into the range of timesteps, or cut off at it."""
    low = (options.min_timestep or 0) / TIMESTEPS
    high = (TIMESTEPS if options.max_timestep is None else options.max_timestep) / TIMESTEPS
    if options.preserve_distribution_shape:
        return sigmas[(sigmas >= low) & (sigmas <= high)]
    if options.timestep_sampling == "sigma":  # mode reaches beyond [0, 1] and is cut there
        sigmas = np.clip(sigmas, 0, 1)
    return low + (high - low) * sigmas


def _shift_of_size(method: str, size: tuple[int, int]) -> float:
    height, width = size
    tokens = height * width if method == "flux2_shift" else (height // 2) * (width // 2)
    low, high, low_mu, high_mu = MU_LINES[method]
    return math.exp(low_mu + (high_mu - low_mu) * (tokens - low) / (high - low))


@functools.cache
def _uniform() -> Numbers:
    return (np.arange(POINTS) + 0.5) / POINTS


@functools.cache
def _normal() -> Numbers:
    """The standard normal distribution, evenly by probability."""
    inverse: Callable[[float], float] = NormalDist().inv_cdf
    return np.array([inverse(part) for part in _uniform()])


def _sigmoid(x: Numbers) -> Numbers:
    return 1 / (1 + np.exp(-x))
