"""The video autoencoder: pixels to latents (8 x 8 x 4 times fewer positions, 16 channels) and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKLHunyuanVideo
from diffusers.models.autoencoders.autoencoder_kl_hunyuan_video import HunyuanVideoCausalConv3d
from torch import Tensor, nn

from backend.errors import OptionError
from backend.models.hunyuan_video.frame_causal_attention import FrameCausalMidBlock
from backend.models.hunyuan_video.latent_space import SPATIAL_COMPRESSION
from backend.models.weight_files import fill_model, read_tensors, wrong_kind
from backend.plan.encoder_names import DEFAULT_TILE_PIXELS
from backend.plan.weights_header import read_header

_RELEASED_NORM_GROUPS = 32


def load_vae(path: Path, *, device: str | torch.device, dtype: torch.dtype) -> AutoencoderKLHunyuanVideo:
    """The autoencoder of a .safetensors or .pt file, of whatever size the tensors in it tell.

    Frame-wise tiling is off: it gives other numbers for clips of more than 16 frames.
    Raises ModelFileError if the file is damaged or holds something else.
    """
    tensors = _without_prefix(read_tensors(path))
    with torch.device("meta"):
        vae = AutoencoderKLHunyuanVideo(**read_configuration(path, tensors))
    for half in (vae.encoder, vae.decoder):
        half.mid_block = FrameCausalMidBlock(half.mid_block)
    fill_model(vae, tensors, path=path, device=device, dtype=dtype)
    vae.use_framewise_encoding = False
    vae.use_framewise_decoding = False
    return vae


def enable_spatial_tiling(vae: AutoencoderKLHunyuanVideo, *, tile_pixels: int = DEFAULT_TILE_PIXELS) -> None:
    """Work on overlapping square tiles: far less memory, slightly other latents.

    Neighbours overlap by a quarter of a tile, counted in whole latents; for multiples of 32 pixels this is the overlap
    of the reference. Raises OptionError for a tile that latents do not fill.
    """
    tile_latents, rest = divmod(tile_pixels, SPATIAL_COMPRESSION)
    if rest or tile_latents < 4:
        raise OptionError(
            f"vae_spatial_tile_sample_min_size: {tile_pixels}, wanted a multiple of {SPATIAL_COMPRESSION} from 32",
            hint=f"{DEFAULT_TILE_PIXELS} is the usual size",
            option="vae_spatial_tile_sample_min_size",
        )
    stride = tile_latents * 3 // 4 * SPATIAL_COMPRESSION
    vae.enable_tiling(
        tile_sample_min_height=tile_pixels,
        tile_sample_min_width=tile_pixels,
        tile_sample_stride_height=stride,
        tile_sample_stride_width=stride,
    )


def compute_in_chunks(vae: AutoencoderKLHunyuanVideo, columns: int) -> None:
    """Let every causal convolution work on about so many columns of its input at a time: the same numbers."""
    for module in list(vae.modules()):
        if isinstance(module, HunyuanVideoCausalConv3d) and max(module.conv.kernel_size) > 1:
            module.conv = ChunkedConv3d(module.conv, columns)


class ChunkedConv3d(nn.Module):
    """A Conv3d without padding, computed for some columns of its output after the others."""

    def __init__(self, conv: nn.Conv3d, columns: int) -> None:
        super().__init__()
        self.conv = conv
        self.columns = columns

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, T, H, W), padded. As the reference, it stays in one piece up to one and a half times the size."""
        kernel, stride = self.conv.kernel_size[2], self.conv.stride[2]
        width = (x.shape[-1] - kernel) // stride + 1
        step = max(1, self.columns // stride)
        if width < 1.5 * step:
            return self.conv(x)
        starts = range(0, width, step)
        pieces = [x[..., start * stride : (min(start + step, width) - 1) * stride + kernel] for start in starts]
        return torch.cat([self.conv(piece) for piece in pieces], dim=-1)


def normalize_pixels(frames: Tensor, *, device: str | torch.device, dtype: torch.dtype) -> Tensor:
    """Frames as the encoder takes them: uint8 (B, T, H, W, 3) -> (B, 3, T, H, W) in -1..1.

    Computed in the encoder's own dtype, as in the reference.
    """
    return frames.permute(0, 4, 1, 2, 3).to(device=device, dtype=dtype) / 127.5 - 1


@torch.no_grad()
def encode(vae: AutoencoderKLHunyuanVideo, pixels: Tensor, *, generators: Sequence[torch.Generator]) -> Tensor:
    """Latents drawn from the posterior, not multiplied by the scaling factor.

    pixels: (B, 3, T, H, W) in -1..1 with T = 4k + 1. generators: on the CPU, one for each item of the batch, so that
    an item's latents depend neither on its neighbours nor on the device.
    Returns (B, 16, (T - 1) / 4 + 1, H / 8, W / 8).
    """
    posterior = vae.encode(pixels).latent_dist
    shape = posterior.mean.shape[1:]
    noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
    return posterior.mean + posterior.std * noise.to(posterior.mean)


@torch.no_grad()
def encode_picture(vae: AutoencoderKLHunyuanVideo, picture: Tensor) -> Tensor:
    """The mean of the posterior of one picture, uint8 (H, W, 3), not scaled: (1, 16, 1, H / 8, W / 8) in float32."""
    pixels = normalize_pixels(picture[None, None], device=vae.device, dtype=vae.dtype)
    return vae.encode(pixels).latent_dist.mean.float()


@torch.no_grad()
def decode_frames(vae: AutoencoderKLHunyuanVideo, latents: Tensor) -> Tensor:
    """Frames to look at: unscaled latents (1, 16, F, H, W) -> uint8 (4 (F - 1) + 1, 8 H, 8 W, 3) on the CPU."""
    pixels = decode(vae, latents.to(vae.device, vae.dtype))[0].float().cpu()
    return (pixels / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 3, 0)  # (3, T, H, W) -> ...


@torch.no_grad()
def decode(vae: AutoencoderKLHunyuanVideo, latents: Tensor) -> Tensor:
    """Pixels in about -1..1: unscaled latents (B, 16, F, H, W) -> (B, 3, 4 (F - 1) + 1, 8 H, 8 W)."""
    return vae.decode(latents).sample


def read_configuration(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, object]:
    """The arguments of the autoencoder's class, read off the shapes; ModelFileError if these are no such tensors."""
    try:
        channels = _block_channels(tensors)
        return {
            "in_channels": tensors["encoder.conv_in.conv.weight"].shape[1],
            "out_channels": tensors["decoder.conv_out.conv.weight"].shape[0],
            "latent_channels": tensors["post_quant_conv.weight"].shape[0],
            "block_out_channels": channels,
            "layers_per_block": _count(tensors, "encoder.down_blocks.0.resnets.{}.conv1.conv.weight"),
            "down_block_types": ("HunyuanVideoDownBlock3D",) * len(channels),
            "up_block_types": ("HunyuanVideoUpBlock3D",) * len(channels),
            "norm_num_groups": _norm_groups(path, channels),
            "mid_block_add_attention": "encoder.mid_block.attentions.0.to_q.weight" in tensors,
        }
    except (KeyError, IndexError) as error:
        raise wrong_kind(path, tensors, wanted="HunyuanVideo VAE") from error


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = "vae."
    if any(name.startswith(prefix) for name in tensors):
        return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return tensors


def _block_channels(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    name = "encoder.down_blocks.{}.resnets.0.conv1.conv.weight"
    return tuple(tensors[name.format(block)].shape[0] for block in range(_count(tensors, name)))


def _count(tensors: Mapping[str, Tensor], name: str) -> int:
    """How many of name.format(0), name.format(1), ... there are; KeyError if none."""
    count = 0
    while name.format(count) in tensors:
        count += 1
    if not count:
        raise KeyError(name)
    return count


def _norm_groups(path: Path, channels: Sequence[int]) -> int:
    """The one number that no shape tells: from the file's metadata, else that of the released model if it divides."""
    if path.suffix.lower() == ".safetensors":
        try:
            return int(json.loads(read_header(path)[1]["config"])["norm_num_groups"])
        except (KeyError, ValueError, TypeError):
            pass  # released files carry no configuration
    return math.gcd(_RELEASED_NORM_GROUPS, *channels)
