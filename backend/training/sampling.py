"""Samples: from noise and text to latents, by the flow that the transformer has learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from backend.dataset.cached import LATENT_CHANNELS
from backend.models.hunyuan_video.latent_scale import LATENT_SCALE
from backend.models.hunyuan_video.vae import SPATIAL_COMPRESSION, TEMPORAL_COMPRESSION
from backend.training.noise_sampling import TIMESTEPS

GUIDANCE_UNIT = 1000
"""The transformer is told 1000 x the guidance scale when it samples, as the released one was when it was distilled."""


@dataclass(frozen=True)
class PromptText:
    """One encoded prompt.

    states: (1, L, text width). mask: (1, L), nonzero for real tokens. pooled: (1, pooled width).
    """

    states: Tensor
    mask: Tensor
    pooled: Tensor


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
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Latents as the VAE decodes them, not multiplied by the scaling factor: (1, 16, F, H, W) in float32.

    The first frames are the same noise for clips of all lengths. Euler's method over `sigmas`, in float32. negative:
    for cfg, with which velocity = negative + cfg x (positive - negative). on_step: told how many steps are done.
    """
    latents = draw_noise(size, generator=generator).to(text.states.device)
    levels = sigmas(settings.steps, flow_shift=settings.flow_shift)
    for index, (sigma, following) in enumerate(pairwise(levels)):
        velocity = _velocity(transformer, latents, text, negative, sigma=sigma, settings=settings)
        latents = latents + velocity.float() * (following - sigma)
        if on_step is not None:
            on_step(index + 1)
    return latents / LATENT_SCALE


def draw_noise(size: SampleSize, *, generator: torch.Generator) -> Tensor:
    """(1, 16, F, H, W) in float32 on the CPU, drawn frame by frame."""
    frames, height, width = size.latents
    drawn = [torch.randn(1, LATENT_CHANNELS, 1, height, width, generator=generator) for _ in range(frames)]
    return torch.cat(drawn, dim=2)


def sigmas(steps: int, *, flow_shift: float) -> list[float]:
    """Noise levels of a sample from 1 to 0, one more than steps; a higher shift spends more steps on high noise."""
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
