"""Samples: from noise and text to latents, by the flow that the transformer has learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from backend.dataset.cached import LATENT_CHANNELS
from backend.models.hunyuan_video.latent_space import LATENT_SCALE, SPATIAL_COMPRESSION, TEMPORAL_COMPRESSION
from backend.training.noise_sampling import TIMESTEPS

GUIDANCE_UNIT = 1000
"""The transformer is told 1000 x the guidance scale when it samples, as the released one was when it was distilled."""


@dataclass(frozen=True)
class PromptText:
    """One encoded prompt. states: (1, L, text width). mask: (1, L), nonzero for real tokens. pooled: (1, width)."""

    states: Tensor
    mask: Tensor
    pooled: Tensor

    def to(self, device: torch.device) -> PromptText:
        return PromptText(self.states.to(device), self.mask.to(device), self.pooled.to(device))


@dataclass(frozen=True)
class SampleSize:
    """Of what is sampled, in pixels and frames; frames = 4k + 1, width and height multiples of 16."""

    width: int
    height: int
    frames: int

    @property
    def latents(self) -> tuple[int, int, int]:
        """Frames, height and width of the latents."""
        frames = (self.frames - 1) // TEMPORAL_COMPRESSION + 1
        return frames, self.height // SPATIAL_COMPRESSION, self.width // SPATIAL_COMPRESSION


@dataclass(frozen=True)
class SampleSettings:
    """How one sample comes about. guidance: told to the transformer. cfg: 1 leaves the negative prompt out."""

    steps: int = 20
    flow_shift: float = 14.5
    guidance: float = 6.0
    cfg: float = 1.0


def sample_latents(
    transformer: nn.Module,
    text: PromptText,
    size: SampleSize,
    *,
    settings: SampleSettings,
    generator: torch.Generator,
    negative: PromptText | None = None,
    first_frame: Tensor | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Latents as the VAE decodes them, not multiplied by the scaling factor: (1, 16, F, H, W) in float32.

    The first frames are the same noise for clips of all lengths. negative: for cfg, with which velocity = negative +
    cfg x (positive - negative). first_frame: scaled latents (1, 16, 1, H, W) for a transformer that continues a
    picture. on_step: told the number of each finished step.
    """
    noise = draw_noise(size, generator=generator).to(text.states.device)
    condition = None if first_frame is None else _padded(first_frame, frames=noise.shape[2])

    def velocity(latents: Tensor, sigma: float) -> Tensor:
        seen = latents if condition is None else torch.cat((latents, condition), dim=1)
        return _velocity(transformer, seen, text, negative, sigma=sigma, settings=settings)

    return integrate(velocity, noise, sigmas(settings.steps, flow_shift=settings.flow_shift), on_step) / LATENT_SCALE


def integrate(
    velocity: Callable[[Tensor, float], Tensor],
    latents: Tensor,
    levels: Sequence[float],
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Latents at the last noise level, from those at the first, by Euler's method in float32.

    velocity: d latents / d sigma at latents and sigma.
    """
    for step, (sigma, following) in enumerate(pairwise(levels), start=1):
        latents = latents + velocity(latents, sigma).float() * (following - sigma)
        if on_step is not None:
            on_step(step)
    return latents


def draw_noise(size: SampleSize, *, generator: torch.Generator) -> Tensor:
    """(1, 16, F, H, W) in float32 on the CPU, drawn frame by frame."""
    frames, height, width = size.latents
    drawn = [torch.randn(1, LATENT_CHANNELS, 1, height, width, generator=generator) for _ in range(frames)]
    return torch.cat(drawn, dim=2)


def sigmas(steps: int, *, flow_shift: float) -> list[float]:
    """The noise levels of a sample, from 1 to 0, one more than steps. A high shift spends more steps on much noise."""
    even = [1 - step / steps for step in range(steps + 1)]
    return [flow_shift * sigma / (1 + (flow_shift - 1) * sigma) for sigma in even]


@torch.no_grad()
def _velocity(
    transformer: nn.Module,
    latents: Tensor,
    text: PromptText,
    negative: PromptText | None,
    *,
    sigma: float,
    settings: SampleSettings,
) -> Tensor:
    def of(prompt: PromptText) -> Tensor:
        return transformer(
            latents,
            torch.full((1,), sigma * TIMESTEPS, device=latents.device),
            text_states=prompt.states,
            text_mask=prompt.mask,
            pooled_text=prompt.pooled,
            guidance=torch.full((1,), settings.guidance * GUIDANCE_UNIT, device=latents.device),
        )

    if negative is None or settings.cfg == 1:
        return of(text)
    without = of(negative)
    return without + settings.cfg * (of(text) - without)


def _padded(first_frame: Tensor, *, frames: int) -> Tensor:
    """(1, 16, 1, H, W) -> (1, 16, F, H, W), zeros after the first frame."""
    rest = torch.zeros_like(first_frame).expand(-1, -1, frames - 1, -1, -1)
    return torch.cat((first_frame, rest), dim=2)
