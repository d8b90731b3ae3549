"""Training of the demo's transformer on the corpus: `python -m demo_base transformer`."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from backend.models.hunyuan_video.compile import compile_blocks
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.plan.modules import TransformerShape
from backend.training.flow_matching import add_noise, flow_matching_loss, velocity
from backend.training.noise_sampling import NoiseSampling, draw_noise_levels
from demo_base.corpus import Caption, Corpus, read_corpus
from demo_base.long_training import Plan, train
from demo_base.muon import Muon

SHAPE = TransformerShape(
    hidden_size=160,
    heads=5,
    double_blocks=2,
    single_blocks=6,
    mlp_hidden=480,
    in_channels=16,
    text_width=96,
    pooled_width=64,
)
BATCH = 64
"""Items, of either kind: each other number would be compiled anew, which takes minutes."""
FRAMES = {1: 0.4, 9: 0.6}
"""The share of batches with clips of so many frames."""
SAMPLING = NoiseSampling(timestep_sampling="shift", discrete_flow_shift=2.5)
WITHOUT_CAPTION = 0.05
"""The share of batches without captions, for classifier-free guidance."""


def train_transformer(folder: Path, *, steps: int, seed: int, compiled: bool = True) -> None:
    """Train, or go on training; the weights lie in transformer.safetensors of the folder in the end."""
    torch.manual_seed(seed)
    transformer = make_transformer()
    if compiled:
        compile_blocks([*transformer.double_blocks, *transformer.single_blocks], dynamic=True, cache_size_limit=64)
    corpus = read_corpus(folder)
    print(f"{ {frames: len(latents) for frames, latents in corpus.latents.items()} } scenes by frames", flush=True)
    plan = Plan(steps=steps, learning_rate=0.02, seed=seed, warmup=100)
    optimizer = Muon(transformer.parameters(), lr=plan.learning_rate)
    state = folder / "transformer.state"
    train(
        transformer,
        lambda generator: _loss(transformer, corpus, generator),
        plan,
        optimizer=optimizer,
        state_file=state,
    )
    write_transformer(transformer.state_dict(), folder / "transformer.safetensors")


def make_transformer() -> HunyuanVideoTransformer:
    """With random weights, of which those that modulate and the last layer are 0, so that blocks begin as nothing.

    Source: Peebles and Xie 2022 (arXiv:2212.09748), adaLN-Zero.
    """
    transformer = HunyuanVideoTransformer(SHAPE)
    for name, module in transformer.named_modules():
        if not isinstance(module, nn.Linear):
            continue
        if "mod.linear" in name or "modulation" in name or name == "final_layer.linear":
            nn.init.zeros_(module.weight)
        else:
            nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    return transformer


def write_transformer(weights: Mapping[str, Tensor], file: Path) -> None:
    """A .safetensors file in bfloat16 under the released names."""
    halves = {name: tensor.bfloat16().contiguous() for name, tensor in weights.items()}
    save_file(halves, file, metadata={"format": "pt"})


def velocity_loss(
    transformer: nn.Module,
    latents: Tensor,
    captions: list[Caption],
    *,
    sigmas: Tensor,
    timesteps: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """The mean squared error of the velocity for scaled latents (B, 16, F, H, W) and captions of equal length."""
    noise = torch.randn(latents.shape, generator=generator)
    states = torch.stack([each.states for each in captions])
    prediction = transformer(
        add_noise(latents, noise, sigmas),
        timesteps,
        text_states=states,
        text_mask=torch.ones(states.shape[:2]),
        pooled_text=torch.stack([each.pooled for each in captions]),
        guidance=_any_guidance(len(latents), generator),
    )
    return flow_matching_loss(prediction, velocity(latents, noise), weights=torch.ones(len(latents)))


def _loss(transformer: nn.Module, corpus: Corpus, generator: torch.Generator) -> Mapping[str, Tensor]:
    latents, captions = _draw_batch(corpus, generator)
    levels = draw_noise_levels(len(latents), SAMPLING, generator=generator)
    with torch.autocast("cpu", torch.bfloat16):
        loss = velocity_loss(
            transformer, latents, captions, sigmas=levels.sigmas, timesteps=levels.timesteps, generator=generator
        )
    return {"loss": loss}


def _draw_batch(corpus: Corpus, generator: torch.Generator) -> tuple[Tensor, list[Caption]]:
    """Items with as many frames and caption tokens each: then attention takes the whole batch at once."""
    chance = random.Random(torch.randint(2**62, (1,), generator=generator).item())
    (frames,) = chance.choices(list(FRAMES), list(FRAMES.values()))
    lengths = [length for kind, length in corpus.captions if kind == frames]
    (length,) = chance.choices(lengths, [len(corpus.captions[frames, length]) for length in lengths])
    chosen = chance.choices(corpus.captions[frames, length], k=BATCH)
    captions = [caption for _, caption in chosen]
    if chance.random() < WITHOUT_CAPTION:
        captions = [corpus.no_caption] * len(captions)
    return corpus.latents[frames][[scene for scene, _ in chosen]], captions


def _any_guidance(count: int, generator: torch.Generator) -> Tensor:
    """Half 1, as LoRAs are trained, half 1000 to 8000, as samples are made: the model shall care for neither."""
    high = 1000 + 7000 * torch.rand(count, generator=generator)
    return torch.where(torch.rand(count, generator=generator) < 0.5, 1.0, high)
