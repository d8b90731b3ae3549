"""How noise levels are drawn: the methods of the option timestep_sampling, their range, and their strata."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.errors import OptionError

TIMESTEPS = 1000
REJECTION_ROUNDS = 1000
DRAWN_AFTER_THESE = 4096
DRAWN_AT_MOST = 1_000_000


@dataclass(frozen=True)
class NoiseLevels:
    """Noise levels of a batch. sigmas: (B,) in [0, 1], 0 is clean. timesteps: (B,), what the transformer is told."""

    sigmas: Tensor
    timesteps: Tensor


@dataclass(frozen=True)
class NoiseSampling:
    """How noise levels are drawn; the names are those of the options."""

    timestep_sampling: str = "sigma"
    discrete_flow_shift: float = 1.0
    sigmoid_scale: float = 1.0
    weighting_scheme: str = "none"
    logit_mean: float = 0.0
    logit_std: float = 1.0
    mode_scale: float = 1.29
    min_timestep: int | None = None
    max_timestep: int | None = None
    preserve_distribution_shape: bool = False

    @property
    def sigma_range(self) -> tuple[float, float]:
        """The lowest and the highest noise level, in [0, 1]."""
        low = 0 if self.min_timestep is None else self.min_timestep
        high = TIMESTEPS if self.max_timestep is None else self.max_timestep
        return low / TIMESTEPS, high / TIMESTEPS


def draw_noise_levels(
    count: int,
    sampling: NoiseSampling,
    *,
    generator: torch.Generator,
    latent_size: tuple[int, int] = (0, 0),
    uniforms: Tensor | None = None,
) -> NoiseLevels:
    """Noise levels for `count` items, on the CPU in float32.

    latent_size: height and width of the latents, which the methods for a certain model's token count need. uniforms:
    (B,) in [0, 1), numbers to use in place of drawn ones; the method sigma does without. Raises OptionError if the
    range keeps practically nothing of a distribution whose shape is to be preserved.
    """
    if sampling.timestep_sampling == "sigma":
        return _discrete_levels(count, sampling, generator=generator)
    low, high = sampling.sigma_range
    if not sampling.preserve_distribution_shape:
        sigmas = _sigmas(count, sampling, generator=generator, latent_size=latent_size, uniforms=uniforms)
        return continuous_levels(sigmas * (high - low) + low)
    if uniforms is not None:
        return continuous_levels(_truncated(uniforms, sampling, latent_size=latent_size))

    def draw(count: int) -> Tensor:
        return _sigmas(count, sampling, generator=generator, latent_size=latent_size, uniforms=None)

    return continuous_levels(_reject(draw, count, low=low, high=high))


def continuous_levels(sigmas: Tensor) -> NoiseLevels:
    """Levels of all methods but sigma. The timestep told to the transformer is 1000 sigma + 1, as LoRAs are trained."""
    return NoiseLevels(sigmas, sigmas * TIMESTEPS + 1)


def sigmas_of_uniform(uniform: Tensor, sampling: NoiseSampling, *, latent_size: tuple[int, int] = (0, 0)) -> Tensor:
    """Noise levels in [0, 1] from uniform numbers, elementwise; the range is not applied.

    They rise with the number, but fall in the method logsnr.
    """
    if sampling.timestep_sampling == "uniform":
        return uniform
    if sampling.timestep_sampling == "ideogram4_shift":
        return _log_normal_sigmas(_normal_of(uniform), latent_size)
    return sigmas_of_normal(_normal_of(uniform), sampling, latent_size=latent_size)


def sigmas_of_normal(normal: Tensor, sampling: NoiseSampling, *, latent_size: tuple[int, int] = (0, 0)) -> Tensor:
    """Noise levels in (0, 1) from standard normal numbers, elementwise.

    A shift moves levels towards more noise: s y / (1 + (s - 1) y). The method logsnr draws the logarithm of the
    signal-to-noise ratio. Source: Esser et al. 2024 (arXiv:2403.03206), sections 3.1 and 5.3.2; Choi et al. 2024
    (arXiv:2411.14793) for logsnr.
    """
    method = sampling.timestep_sampling
    if method == "logsnr":
        return torch.sigmoid(-(sampling.logit_mean + sampling.logit_std * normal) / 2)
    sigmas = torch.sigmoid(sampling.sigmoid_scale * normal)
    if method == "sigmoid":
        return sigmas
    shift = sampling.discrete_flow_shift if method == "shift" else resolution_shift(method, latent_size)
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def resolution_shift(method: str, latent_size: tuple[int, int]) -> float:
    """The flow shift of a method that goes by the number of tokens of one frame: exp(mu), mu linear in the tokens.

    latent_size: height and width of the latents.
    """
    height, width = latent_size
    tokens = height * width if method == "flux2_shift" else (height // 2) * (width // 2)
    low, high, low_mu, high_mu = _MU_LINES[method]
    return math.exp(low_mu + (high_mu - low_mu) * (tokens - low) / (high - low))


_MU_LINES = {
    "flux_shift": (256, 4096, 0.5, 1.15),
    "flux2_shift": (256, 4096, 0.5, 1.15),
    "qwen_shift": (256, 8192, 0.5, 0.9),
    "krea2_shift": (256, 6400, 0.5, 1.15),
}
"""Tokens and mu at both ends of each line; beyond them it goes on straight."""

_MIXED = {"qinglong_flux": ((0.79, "flux_shift"), (0.9, "logsnr")), "qinglong_qwen": ((0.95, "qwen_shift"),)}
"""Up to which share of the items each method is used; the rest is drawn nearly clean."""

_NEARLY_CLEAN = NoiseSampling("logsnr", logit_mean=5.36, logit_std=1.0)


def _sigmas(
    count: int,
    sampling: NoiseSampling,
    *,
    generator: torch.Generator,
    latent_size: tuple[int, int],
    uniforms: Tensor | None,
) -> Tensor:
    """Noise levels before the range is applied."""
    method = sampling.timestep_sampling
    if method in _MIXED:
        return _mixed(count, sampling, generator=generator, latent_size=latent_size, uniforms=uniforms)
    if uniforms is not None:
        return sigmas_of_uniform(uniforms, sampling, latent_size=latent_size)
    if method in ("uniform", "ideogram4_shift"):
        return sigmas_of_uniform(torch.rand(count, generator=generator), sampling, latent_size=latent_size)
    return sigmas_of_normal(torch.randn(count, generator=generator), sampling, latent_size=latent_size)


def _mixed(
    count: int,
    sampling: NoiseSampling,
    *,
    generator: torch.Generator,
    latent_size: tuple[int, int],
    uniforms: Tensor | None,
) -> Tensor:
    """Each item by one of several methods, drawn by lot."""
    lots = torch.rand(count, generator=generator)
    normal = torch.randn(count, generator=generator) if uniforms is None else _normal_of(uniforms)
    sigmas = sigmas_of_normal(normal, _NEARLY_CLEAN)
    for share, method in reversed(_MIXED[sampling.timestep_sampling]):
        part = NoiseSampling(
            method,
            sigmoid_scale=sampling.sigmoid_scale,
            logit_mean=sampling.logit_mean,
            logit_std=sampling.logit_std,
        )
        sigmas = torch.where(lots < share, sigmas_of_normal(normal, part, latent_size=latent_size), sigmas)
    return sigmas


def _discrete_levels(count: int, sampling: NoiseSampling, *, generator: torch.Generator) -> NoiseLevels:
    """The method sigma: one of the timesteps 1 to 1000 within the range, as the weighting scheme distributes them."""
    low = sampling.min_timestep or 0
    high = TIMESTEPS if sampling.max_timestep is None else sampling.max_timestep

    def draw(count: int) -> Tensor:
        return _density(count, sampling, generator=generator)

    if sampling.preserve_distribution_shape:
        clean = _reject(lambda count: 1 - draw(count), count, low=low / TIMESTEPS, high=high / TIMESTEPS)
        timesteps = (clean * TIMESTEPS).ceil().clamp(low + 1, high)
    else:
        # The reference counts a list from noisy to clean, so a small number is a noisy level.
        timesteps = high - (draw(count) * (high - low)).floor().clamp(0, high - low - 1)
    return NoiseLevels(timesteps / TIMESTEPS, timesteps.float())


def _density(count: int, sampling: NoiseSampling, *, generator: torch.Generator) -> Tensor:
    """Numbers in [0, 1), small for much noise, whose density is the weighting scheme's.

    Source: Esser et al. 2024 (arXiv:2403.03206), section 3.1.
    """
    if sampling.weighting_scheme == "logit_normal":
        normal = torch.randn(count, generator=generator)
        return torch.sigmoid(sampling.logit_mean + sampling.logit_std * normal)
    uniform = torch.rand(count, generator=generator)
    if sampling.weighting_scheme != "mode":
        return uniform
    bend = torch.cos(math.pi * uniform / 2) ** 2 - 1 + uniform
    return 1 - uniform - sampling.mode_scale * bend


def _normal_of(uniform: Tensor) -> Tensor:
    """The inverse of the normal distribution function."""
    return math.sqrt(2) * torch.erfinv(2 * uniform.clamp(1e-7, 1 - 1e-7) - 1)


def _log_normal_sigmas(normal: Tensor, latent_size: tuple[int, int]) -> Tensor:
    """The method ideogram4_shift: logit-normal, its mean by the pixels of a frame, 0 at 512 x 512."""
    height, width = latent_size
    mean = 0.5 * math.log((16 * height) * (16 * width) / 512**2)
    return torch.sigmoid(mean + 1.5 * normal)


def _reject(draw: Callable[[int], Tensor], count: int, *, low: float, high: float) -> Tensor:
    """Draw until there are enough numbers within the range: its part of the distribution, in its own shape.

    A thousand rounds as the reference draws them, then many at once, up to a million: a range that holds one level in
    50,000 ends with an error once in e^20 times.
    """
    kept, total, rounds = torch.empty(0), 0, 0
    while len(kept) < count and total < max(DRAWN_AT_MOST, REJECTION_ROUNDS * count):
        drawn = draw(count if rounds < REJECTION_ROUNDS else DRAWN_AFTER_THESE)
        kept = torch.cat((kept, drawn[_within(drawn, low, high)]))
        total, rounds = total + len(drawn), rounds + 1
    if len(kept) >= count:
        return kept[:count]
    raise OptionError(
        f"of {total} noise levels drawn, only {len(kept)} lie in timesteps {low * TIMESTEPS:g} to {high * TIMESTEPS:g}",
        hint="widen the range, or switch preserve_distribution_shape off",
        option="preserve_distribution_shape",
    )


def _truncated(uniforms: Tensor, sampling: NoiseSampling, *, latent_size: tuple[int, int]) -> Tensor:
    """Uniform numbers taken through the distribution cut off at the range, its shape kept.

    The map rises with its number, so the parts cut off are found at both ends by a table.
    """
    low, high = sampling.sigma_range
    table = torch.linspace(0, 1, 100_001)
    if sampling.timestep_sampling in _MIXED:
        raise OptionError(
            f"{sampling.timestep_sampling} with num_timestep_buckets and preserve_distribution_shape is not possible",
            hint="switch one of the three off",
            option="num_timestep_buckets",
        )
    inside = table[_within(sigmas_of_uniform(table, sampling, latent_size=latent_size), low, high)]
    if len(inside) < 2:
        raise OptionError(
            f"{sampling.timestep_sampling} draws practically nothing in timesteps {low * TIMESTEPS:g} to "
            f"{high * TIMESTEPS:g}",
            hint="widen the range, or switch preserve_distribution_shape off",
            option="preserve_distribution_shape",
        )
    first, last = inside[0], inside[-1]
    return sigmas_of_uniform(first + (last - first) * uniforms, sampling, latent_size=latent_size).clamp(low, high)


def _within(values: Tensor, low: float, high: float) -> Tensor:
    return (values >= low) & (values <= high)
