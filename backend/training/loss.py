"""The loss of one micro-batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backend.models.hunyuan_video.latent_scale import LATENT_SCALE
from backend.training.batches import TrainingBatch
from backend.training.flow_matching import (
    add_noise,
    flow_matching_loss,
    loss_weights,
    velocity,
)
from backend.training.noise_sampling import NoiseLevels, NoiseSampling


@dataclass(frozen=True)
class LossSettings:
    """How a loss comes about; the names are those of the options."""

    sampling: NoiseSampling
    guidance_scale: float = 1.0


def batch_loss(
    transformer: nn.Module, batch: TrainingBatch, *, noise: Tensor, levels: NoiseLevels, settings: LossSettings
) -> Tensor:
    """The loss of one micro-batch at given noise and noise levels; all tensors on the transformer's device.

    noise: (B, 16, F, H, W) like the batch's latents.
    """
    latents = batch.latents * LATENT_SCALE
    prediction = transformer(
        add_noise(latents, noise, levels.sigmas),
        levels.timesteps,
        text_states=batch.text_states,
        text_mask=batch.text_mask,
        pooled_text=batch.pooled_text,
        guidance=torch.full_like(levels.timesteps, settings.guidance_scale),
    )
    weights = loss_weights(levels.timesteps, settings.sampling.weighting_scheme)
    return flow_matching_loss(prediction, velocity(latents, noise), weights=weights)
