"""The parts of the HunyuanVideo transformer; attribute names are the key names of the released checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backend.models.hunyuan_video.attention import Kernel, attention, sdpa
from backend.models.hunyuan_video.heads import NORM_EPS, RMSNorm, Rope, heads_of

ROPE_THETA = 256.0
TIME_FEATURES = 256
REFINER_BLOCKS = 2


# ---------------------------------------------------------------------------------------------------- attention


def split_heads(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values as views: (B, S, 3 * D) -> three of (B, S, heads, head_dim)."""
    return qkv.unflatten(-1, (3, heads, -1)).unbind(2)


@lru_cache(maxsize=16)  # 15 MB each for 30,000 tokens; a run alternates between a few bucket sizes
@torch.inference_mode(False)  # a table first made while sampling must serve training, too
def rope_tables(
    grid: tuple[int, int, int], rope_dims: tuple[int, int, int], *, text_tokens: int, device: torch.device
) -> Rope:
    """Rotation for image tokens at their place in the grid, then for text tokens, which stay as they are.

    grid: patches along time, height, width; tokens run over width fastest. Returns tables of grid + text tokens rows.
    """
    positions = torch.cartesian_prod(*(torch.arange(size, device=device, dtype=torch.float32) for size in grid))
    angles = torch.cat(
        [positions[:, axis, None] * _frequencies(dim, device) for axis, dim in enumerate(rope_dims)], dim=1
    )
    angles = F.pad(angles, (0, 0, 0, text_tokens))  # turning by zero is leaving alone
    return angles.cos(), angles.sin()


def _frequencies(dim: int, device: torch.device) -> Tensor:
    return ROPE_THETA ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)


# ------------------------------------------------------------------------------------------------- conditioning


def timestep_embedding(timesteps: Tensor) -> Tensor:
    """Sinusoidal features of timesteps (or of guidance), cosines first: (B,) -> (B, 256), fp32."""
    half = TIME_FEATURES // 2
    frequencies = torch.exp(-math.log(10_000) * torch.arange(half, device=timesteps.device, dtype=torch.float32) / half)
    angles = timesteps.float()[:, None] * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


def modulated_norm(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LayerNorm without weights of its own; the conditioning vector gives them.

    x: (B, S, D). shift, scale: (B, 1, D). The kernel computes in fp32 by itself; it is called by this name because
    autocast on CUDA would else make a copy of x in fp32 first, and keep it.
    """
    if len(x) > 1:
        return torch.addcmul(shift, torch.native_layer_norm(x, x.shape[-1:], None, None, NORM_EPS)[0], 1 + scale)
    return torch.native_layer_norm(x, x.shape[-1:], 1 + scale.flatten(), shift.flatten(), NORM_EPS)[0]


class Modulation(nn.Module):
    """Shifts, scales and gates for one stream of a block, from the conditioning vector."""

    def __init__(self, hidden_size: int, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.linear = nn.Linear(hidden_size, parts * hidden_size)

    def forward(self, vec: Tensor) -> tuple[Tensor, ...]:
        return self.linear(F.silu(vec)).unsqueeze(1).chunk(self.parts, dim=-1)  # (B, D) -> parts x (B, 1, D)


class TimestepEmbedder(nn.Module):
    """Sinusoidal features to the conditioning vector: (B, 256) -> (B, D)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(TIME_FEATURES, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size))

    def forward(self, features: Tensor) -> Tensor:
        return self.mlp(features)


class VectorEmbedder(nn.Module):
    """The pooled text to the conditioning vector: (B, pooled width) -> (B, D)."""

    def __init__(self, pooled_width: int, hidden_size: int) -> None:
        super().__init__()
        self.in_layer = nn.Linear(pooled_width, hidden_size)
        self.out_layer = nn.Linear(hidden_size, hidden_size)

    def forward(self, pooled_text: Tensor) -> Tensor:
        return self.out_layer(F.silu(self.in_layer(pooled_text)))


class ContextEmbedder(nn.Module):
    """The mean of the text states to the refiner's conditioning vector: (B, text width) -> (B, D)."""

    def __init__(self, text_width: int, hidden_size: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(text_width, hidden_size)
        self.linear_2 = nn.Linear(hidden_size, hidden_size)

    def forward(self, mean_text: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(mean_text)))


# ----------------------------------------------------------------------------------------------- image and text


class PatchEmbed(nn.Module):
    """Latents to image tokens, one for each 1 x 2 x 2 patch: (B, C, F, H, W) -> (B, N, D)."""

    def __init__(self, in_channels: int, hidden_size: int, patch_size: tuple[int, int, int]) -> None:
        super().__init__()
        self.proj = nn.Conv3d(in_channels, hidden_size, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)  # (B, D, F, H/2, W/2) -> (B, N, D)


class MLP(nn.Module):
    def __init__(self, hidden_size: int, mlp_hidden: int, activation: nn.Module) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden_size, mlp_hidden)
        self.act = activation
        self.fc2 = nn.Linear(mlp_hidden, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class RefinerBlock(nn.Module):
    """Text attends to itself; the conditioning vector gives only the two gates."""

    def __init__(self, hidden_size: int, heads: int, mlp_hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(hidden_size, eps=NORM_EPS)
        self.self_attn_qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.self_attn_proj = nn.Linear(hidden_size, hidden_size)
        self.norm2 = nn.LayerNorm(hidden_size, eps=NORM_EPS)
        self.mlp = MLP(hidden_size, mlp_hidden, nn.SiLU())
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 2 * hidden_size))

    def forward(self, txt: Tensor, context: Tensor, lengths: Sequence[int]) -> Tensor:
        gate1, gate2 = self.adaLN_modulation(context).unsqueeze(1).chunk(2, dim=-1)
        q, k, v = split_heads(self.self_attn_qkv(self.norm1(txt)), self.heads)
        txt = txt + gate1 * self.self_attn_proj(attention(q, k, v, lengths))
        return txt + gate2 * self.mlp(self.norm2(txt))


class IndividualTokenRefiner(nn.Module):
    def __init__(self, hidden_size: int, heads: int, mlp_hidden: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(RefinerBlock(hidden_size, heads, mlp_hidden) for _ in range(REFINER_BLOCKS))

    def forward(self, txt: Tensor, context: Tensor, lengths: Sequence[int]) -> Tensor:
        for block in self.blocks:
            txt = block(txt, context, lengths)
        return txt


class TokenRefiner(nn.Module):
    """The language model's states to text tokens: (B, L, text width) -> (B, L, D)."""

    def __init__(self, text_width: int, hidden_size: int, heads: int, mlp_hidden: int) -> None:
        super().__init__()
        self.input_embedder = nn.Linear(text_width, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.c_embedder = ContextEmbedder(text_width, hidden_size)
        self.individual_token_refiner = IndividualTokenRefiner(hidden_size, heads, mlp_hidden)

    def forward(self, text_states: Tensor, time_features: Tensor, lengths: Sequence[int]) -> Tensor:
        means = [states[:n].mean(dim=0) for states, n in zip(text_states.float(), lengths, strict=True)]
        context = self.t_embedder(time_features) + self.c_embedder(torch.stack(means).type_as(text_states))
        return self.individual_token_refiner(self.input_embedder(text_states), context, lengths)


# ------------------------------------------------------------------------------------------------------- blocks


class DoubleBlock(nn.Module):
    """Image and text go through weights of their own and meet in one attention."""

    def __init__(self, hidden_size: int, heads: int, mlp_hidden: int) -> None:
        super().__init__()
        self.kernel: Kernel = sdpa
        self.heads = heads
        head_dim = hidden_size // heads

        self.img_mod = Modulation(hidden_size, 6)
        self.img_attn_qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.img_attn_q_norm = RMSNorm(head_dim)
        self.img_attn_k_norm = RMSNorm(head_dim)
        self.img_attn_proj = nn.Linear(hidden_size, hidden_size)
        self.img_mlp = MLP(hidden_size, mlp_hidden, nn.GELU(approximate="tanh"))

        self.txt_mod = Modulation(hidden_size, 6)
        self.txt_attn_qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.txt_attn_q_norm = RMSNorm(head_dim)
        self.txt_attn_k_norm = RMSNorm(head_dim)
        self.txt_attn_proj = nn.Linear(hidden_size, hidden_size)
        self.txt_mlp = MLP(hidden_size, mlp_hidden, nn.GELU(approximate="tanh"))

    def forward(
        self, img: Tensor, txt: Tensor, vec: Tensor, rope: Rope, lengths: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """img: (B, N, D), txt: (B, L, D), vec: (B, D). lengths: N + real text tokens of each item."""
        img_shift1, img_scale1, img_gate1, img_shift2, img_scale2, img_gate2 = self.img_mod(vec)
        txt_shift1, txt_scale1, txt_gate1, txt_shift2, txt_scale2, txt_gate2 = self.txt_mod(vec)

        img_rope, txt_rope = zip(*(table.split((img.shape[1], txt.shape[1])) for table in rope), strict=True)
        img_qkv = self.img_attn_qkv(modulated_norm(img, img_shift1, img_scale1)).chunk(3, dim=-1)
        txt_qkv = self.txt_attn_qkv(modulated_norm(txt, txt_shift1, txt_scale1)).chunk(3, dim=-1)
        img_heads = heads_of(img_qkv, self.img_attn_q_norm, self.img_attn_k_norm, img_rope, heads=self.heads)
        txt_heads = heads_of(txt_qkv, self.txt_attn_q_norm, self.txt_attn_k_norm, txt_rope, heads=self.heads)
        q, k, v = (torch.cat(both, dim=1) for both in zip(img_heads, txt_heads, strict=True))

        attended = attention(q, k, v, lengths, kernel=self.kernel)
        img_attended, txt_attended = attended.split((img.shape[1], txt.shape[1]), dim=1)

        img = torch.addcmul(img, img_gate1, self.img_attn_proj(img_attended))
        img = torch.addcmul(img, img_gate2, self.img_mlp(modulated_norm(img, img_shift2, img_scale2)))
        txt = torch.addcmul(txt, txt_gate1, self.txt_attn_proj(txt_attended))
        txt = torch.addcmul(txt, txt_gate2, self.txt_mlp(modulated_norm(txt, txt_shift2, txt_scale2)))
        return img, txt


class SingleBlock(nn.Module):
    """Image and text as one sequence; attention and MLP side by side between two wide Linears."""

    def __init__(self, hidden_size: int, heads: int, mlp_hidden: int) -> None:
        super().__init__()
        self.kernel: Kernel = sdpa
        self.heads = heads
        self.widths = (hidden_size, hidden_size, hidden_size, mlp_hidden)
        self.linear1 = nn.Linear(hidden_size, 3 * hidden_size + mlp_hidden)
        self.linear2 = nn.Linear(hidden_size + mlp_hidden, hidden_size)
        self.q_norm = RMSNorm(hidden_size // heads)
        self.k_norm = RMSNorm(hidden_size // heads)
        self.modulation = Modulation(hidden_size, 3)

    def forward(self, x: Tensor, vec: Tensor, rope: Rope, lengths: Sequence[int]) -> Tensor:
        """x: (B, N + L, D), vec: (B, D). lengths: N + real text tokens of each item."""
        shift, scale, gate = self.modulation(vec)
        *qkv, mlp = self.linear1(modulated_norm(x, shift, scale)).split(self.widths, dim=-1)
        heads = heads_of(qkv, self.q_norm, self.k_norm, rope, heads=self.heads)
        attended = attention(*heads, lengths, kernel=self.kernel)
        return torch.addcmul(x, gate, self.linear2(torch.cat((attended, F.gelu(mlp, approximate="tanh")), dim=-1)))


class FinalLayer(nn.Module):
    """Image tokens to the values of their patches: (B, N, D) -> (B, N, out_features)."""

    def __init__(self, hidden_size: int, out_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden_size, out_features)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 2 * hidden_size))

    def forward(self, img: Tensor, vec: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(vec).unsqueeze(1).chunk(2, dim=-1)
        return self.linear(modulated_norm(img, shift, scale))
