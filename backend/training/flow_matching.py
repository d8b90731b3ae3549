"""Flow matching: noisy latents, the velocity to predict, and the weight of each noise level in the loss."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

from backend.training.noise_sampling import TIMESTEPS


def add_noise(latents: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """Latents at noise level sigma on the straight path from data to noise.

    latents, noise: (B, C, F, H, W), same dtype. sigmas: (B,) in [0, 1]; 0 is clean, 1 pure noise.
    Returns (B, C, F, H, W). Raises ValueError if the batch sizes differ.
    Source: Lipman et al. 2023 (arXiv:2210.02747); the linear path that HunyuanVideo trains on.
    """
    if not len(latents) == len(noise) == len(sigmas):
        raise ValueError(f"{len(latents)} latents, {len(noise)} noises and {len(sigmas)} sigmas")
    level = sigmas.to(latents).view(-1, 1, 1, 1, 1)
    return (1 - level) * latents + level * noise


def velocity(latents: Tensor, noise: Tensor) -> Tensor:
    """What the transformer predicts: the direction from data to noise."""
    return noise - latents


def loss_weights(timesteps: Tensor, scheme: str) -> Tensor:
    """The factor of each item in the loss, (B,) for timesteps (B,).

    The level is that of the nearest whole timestep from 1 to 1000. Schemes: sigma_sqrt (1 / sigma^2) and cosmap; all
    others weigh nothing.
    Source: Esser et al. 2024 (arXiv:2403.03206), section 3.1, for cosmap.
    """
    sigmas = timesteps.float().round().clamp(1, TIMESTEPS) / TIMESTEPS
    if scheme == "sigma_sqrt":
        return sigmas**-2
    if scheme == "cosmap":
        return 2 / (math.pi * (1 - 2 * sigmas + 2 * sigmas**2))
    return torch.ones_like(sigmas)


def flow_matching_loss(prediction: Tensor, target: Tensor, *, weights: Tensor) -> Tensor:
    """Weighted mean squared error in float32. prediction, target: (B, C, F, H, W). weights: (B,)."""
    error = (prediction.float() - target.float()).square()
    return (error * weights.to(error).view(-1, 1, 1, 1, 1)).mean()


def micro_batch_generator(seed: int, index: int) -> torch.Generator:
    """The random numbers of one micro-batch, on the CPU.

    They follow from the run's seed and the micro-batch's number alone, so that nothing that happens in between
    (a sample, a save, a resume, another device) changes what is trained.
    """
    digest = hashlib.blake2b(f"{seed}:{index}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
