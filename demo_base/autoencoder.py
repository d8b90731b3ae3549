"""Training of the demo's video autoencoder: `python -m demo_base vae`."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLHunyuanVideo
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.func import functional_call

from backend.models.hunyuan_video.frame_causal_attention import FrameCausalMidBlock
from backend.models.hunyuan_video.latent_space import LATENT_SCALE
from backend.models.hunyuan_video.vae import normalize_pixels
from demo_base.long_training import Plan, train
from demo_base.muon import Muon
from demo_base.pictures import any_clip

SHAPE = {"block_out_channels": (16, 16, 64, 64), "layers_per_block": 1, "norm_num_groups": 1}
"""One group: in groups of few channels the norms take the brightness of plain colours away."""
BATCHES = ((1, 8, 32), (5, 4, 32), (9, 3, 32), (5, 1, 64), (9, 1, 64))
"""Frames, clips and width of a step's batch, one of these: about the same work each."""
DIVERGENCE_WEIGHT = 3e-4
LATENT_CHANNELS = 16


def train_autoencoder(folder: Path, *, steps: int, seed: int) -> None:
    """Train, or go on training; the weights lie in vae.safetensors of the folder in the end."""
    torch.manual_seed(seed)
    trained = ThereAndBack(make_autoencoder())
    plan = Plan(steps=steps, learning_rate=8e-3, seed=seed, warmup=50, ema=0.99)
    optimizer = Muon(trained.parameters(), lr=plan.learning_rate)
    state = folder / "vae.state"
    train(trained, lambda generator: _loss(trained, generator), plan, optimizer=optimizer, state_file=state)
    standardise(trained.vae)
    write_autoencoder(trained.vae, folder / "vae.safetensors")


class ThereAndBack(nn.Module):
    """Pixels to latents, and latents with noise back to pixels, as one call."""

    def __init__(self, vae: AutoencoderKLHunyuanVideo) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pixels: Tensor, generator: torch.Generator) -> tuple[Tensor, DiagonalGaussianDistribution]:
        posterior = self.vae.encode(pixels).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator).to(pixels.dtype)
        return self.vae.decode(posterior.mean + posterior.std * noise).sample, posterior


def make_autoencoder() -> AutoencoderKLHunyuanVideo:
    """With random weights, and with the cheaper attention that the product uses; the names are the same."""
    vae = AutoencoderKLHunyuanVideo(**SHAPE)
    for name, module in vae.named_modules():
        if isinstance(module, nn.Conv3d | nn.Linear):
            _initialise(module, name)
    vae.use_framewise_encoding = vae.use_framewise_decoding = False
    for half in (vae.encoder, vae.decoder):
        half.mid_block = FrameCausalMidBlock(half.mid_block)
    return vae


def _initialise(layer: nn.Conv3d | nn.Linear, name: str) -> None:
    """Begin as a blur that keeps colours apart: the residual branches do little, the way past them mixes channels.

    The biases of the first layers tell the norms how large 1 is; else a plain colour would be only a direction.
    """
    nn.init.zeros_(layer.bias)
    if "shortcut" not in name and ("resnets" in name or "attentions" in name):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
        if "conv2" in name or "to_out" in name:
            layer.weight.data *= 0.1
        return
    channels = nn.init.orthogonal_(torch.empty(layer.weight.shape[:2]))[..., None, None, None]
    if layer.kernel_size == (3, 3, 3):
        space, time = torch.tensor([0.25, 0.5, 0.25]), torch.tensor([0.25, 0.25, 0.5])
        blur = time[:, None, None] * space[:, None] * space
        noise = torch.randn_like(layer.weight) / math.sqrt(27 * layer.in_channels)
        layer.weight.data = channels * blur + 0.3 * noise
    else:
        layer.weight.data = channels.clone()
    if "conv_in" in name:
        nn.init.normal_(layer.bias)
    if name == "quant_conv":
        layer.weight.data[LATENT_CHANNELS:] *= 0.1
        layer.bias.data[LATENT_CHANNELS:] = -4.0


def clip_batch(clips: list[np.ndarray]) -> Tensor:
    """Clips (T, H, W, 3) of one size as the encoder takes them."""
    return normalize_pixels(torch.from_numpy(np.stack(clips)), device="cpu", dtype=torch.float32)


def write_autoencoder(vae: AutoencoderKLHunyuanVideo, file: Path) -> None:
    """A .safetensors file in bfloat16 under the released names."""
    weights = {name: tensor.bfloat16().contiguous() for name, tensor in vae.state_dict().items()}
    save_file(weights, file, metadata={"config": json.dumps({"norm_num_groups": SHAPE["norm_num_groups"]})})


@torch.no_grad()
def standardise(vae: AutoencoderKLHunyuanVideo, *, clips: int = 100) -> None:
    """Move shift and scale of each latent channel into the two convolutions beside the latents; no picture changes.

    What the transformer sees, latents x 0.477, then has mean 0 and deviation 1 in every channel.
    """
    chance = random.Random(0)
    latents = [vae.encode(clip_batch([any_clip(chance, 9)])).latent_dist.mean for _ in range(clips)]
    values = torch.cat(latents).transpose(0, 1).flatten(1)  # (16, n)
    mean, factor = values.mean(dim=1), 1 / (LATENT_SCALE * values.std(dim=1))
    before, after = vae.quant_conv, vae.post_quant_conv
    before.weight[:LATENT_CHANNELS] *= factor.view(-1, 1, 1, 1, 1)
    before.bias[:LATENT_CHANNELS] = (before.bias[:LATENT_CHANNELS] - mean) * factor
    before.bias[LATENT_CHANNELS:] += 2 * factor.log()
    after.bias += (after.weight.flatten(1) * mean).sum(dim=1)
    after.weight /= factor.view(1, -1, 1, 1, 1)


def _loss(trained: ThereAndBack, generator: torch.Generator) -> Mapping[str, Tensor]:
    """Computed in bfloat16 by copies of the weights: a third faster than autocast, which copies activations."""
    chance = random.Random(torch.randint(2**62, (1,), generator=generator).item())
    frames, count, width = chance.choice(BATCHES)
    pixels = clip_batch([_cut(any_clip(chance, frames), width, chance) for _ in range(count)])
    copies = {name: weight.bfloat16() for name, weight in trained.named_parameters()}
    decoded, posterior = functional_call(trained, copies, (pixels.bfloat16(), generator))
    error = decoded.float() - pixels
    difference = error.abs().mean() + error.square().mean()
    # Without a term of their own colours take many times longer to learn than light and dark.
    colours = error.diff(dim=1).abs().mean() + error.diff(dim=1).square().mean()
    edges = sum(error.diff(dim=axis).abs().mean() for axis in (2, 3, 4) if error.shape[axis] > 1)  # in time, too
    mean, log_variance = posterior.mean.float(), posterior.logvar.float()
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
    loss = difference + 2 * colours + edges + DIVERGENCE_WEIGHT * divergence
    return {"loss": loss, "L1": error.abs().mean(), "colours": colours, "edges": edges, "KL": divergence}


def _cut(clip: np.ndarray, width: int, chance: random.Random) -> np.ndarray:
    """A square of the clip, rather from its middle, where things happen."""
    left, top = (round((clip.shape[1] - width) * chance.triangular()) for _ in range(2))
    return clip[:, top : top + width, left : left + width]
