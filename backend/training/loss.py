"""The loss of one micro-batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backend.models.hunyuan_video.latent_space import LATENT_SCALE
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
    """How a loss comes about. continues_a_picture: the transformer is told the first frame of what it makes."""

    sampling: NoiseSampling
    guidance_scale: float = 1.0
    continues_a_picture: bool = False


def batch_loss(
    transformer: nn.Module, batch: TrainingBatch, *, noise: Tensor, levels: NoiseLevels, settings: LossSettings
) -> Tensor:
    """The loss of one micro-batch at given noise and noise levels; all tensors on the transformer's device.

    noise: (B, 16, F, H, W) like the batch's latents.
    """
    latents = batch.latents * LATENT_SCALE
    noisy = add_noise(latents, noise, levels.sigmas)
    prediction = transformer(
        with_first_frame(noisy, latents) if settings.continues_a_picture else noisy,
        levels.timesteps,
        text_states=batch.text_states,
        text_mask=batch.text_mask,
        pooled_text=batch.pooled_text,
        guidance=torch.full_like(levels.timesteps, settings.guidance_scale),
    )
    weights = loss_weights(levels.timesteps, settings.sampling.weighting_scheme)
    return flow_matching_loss(prediction, velocity(latents, noise), weights=weights)


def with_first_frame(noisy: Tensor, latents: Tensor) -> Tensor:
    """What a transformer with 32 input channels takes: noisy latents, then the clean first frame and zeros after it.

    noisy, latents: (B, 16, F, H, W), scaled. Returns (B, 32, F, H, W).
    """
    condition = torch.zeros_like(latents)
    condition[:, :, :1] = latents[:, :, :1]
    return torch.cat((noisy, condition), dim=1)
