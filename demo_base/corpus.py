"""Scenes as latents and text features, made once and kept beside the models: `python -m demo_base corpus`.

The corpus is in parts of its own seed each, so that its making can be cut off and goes on with the next part.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKLHunyuanVideo
from torch import Tensor

from backend.models.hunyuan_video.latent_space import LATENT_SCALE
from backend.models.hunyuan_video.text_encoders import TextEncoder, encode_clip, encode_llm, load_clip, load_llm
from backend.models.hunyuan_video.vae import encode, load_vae
from demo_base.autoencoder import clip_batch
from demo_base.captions import caption
from demo_base.scenes import Scene, draw, random_scene

PART = {1: 200, 9: 200}
"""How many scenes of each number of frames are in a part."""
CAPTIONS = 3
"""For each scene."""
ENCODED_AT_ONCE = 4
NO_CAPTION = ""
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Encoders:
    """The frozen models that the transformer's data goes through."""

    vae: AutoencoderKLHunyuanVideo
    llm: TextEncoder
    clip: TextEncoder

    @classmethod
    def load(cls, folder: Path) -> Encoders:
        return cls(
            load_vae(folder / "vae.safetensors", device=CPU, dtype=torch.bfloat16),
            load_llm(folder / "llama", device=CPU, dtype=torch.float32),
            load_clip(folder / "clip", device=CPU, dtype=torch.float32),
        )


@dataclass(frozen=True)
class Caption:
    """The features of one caption: states of its real tokens (L, text width), and pooled (pooled width)."""

    states: Tensor
    pooled: Tensor


@dataclass(frozen=True)
class Corpus:
    """latents: for each number of frames (n, 16, F, H, W), scaled. captions: for each number of frames and of tokens,
    which scene and which features."""

    latents: dict[int, Tensor]
    captions: dict[tuple[int, int], list[tuple[int, Caption]]]
    no_caption: Caption


def make_corpus(folder: Path, *, steps: int, seed: int) -> None:
    """The parts that are missing of so many (steps)."""
    encoders = Encoders.load(folder)
    for number in range(steps):
        file = folder / "corpus" / f"part{number:02}.pt"
        if not file.is_file():
            content = make_part(encoders, seed=seed * 1000 + number)
            _save(content, file)
            print(f"{file.name} of {steps} parts", flush=True)


def read_corpus(folder: Path) -> Corpus:
    """All parts that are there. Raises FileNotFoundError if there is none."""
    files = sorted((folder / "corpus").glob("part*.pt"))
    if not files:
        raise FileNotFoundError(f"{folder / 'corpus'}: no part of the corpus; make it first")
    return join_parts([torch.load(file, weights_only=True) for file in files])


def make_part(
    encoders: Encoders, *, seed: int, held_out: bool = False, sizes: dict[int, int] = PART
) -> list[dict[str, object]]:
    """For each number of frames its latents, which scene each caption is of, and the captions' features."""
    chance = random.Random(seed)
    part = []
    for frames, count in sizes.items():
        scenes = [random_scene(chance, held_out=held_out) for _ in range(count)]
        texts = [caption(scene, chance, moves=frames > 1) for scene in scenes for _ in range(CAPTIONS)]
        part.append(
            {
                "frames": frames,
                "latents": encode_scenes(encoders.vae, scenes, frames, seed=seed).half(),
                "captions": [(each.states.half(), each.pooled.half()) for each in encode_captions(encoders, texts)],
            }
        )
    (nothing,) = encode_captions(encoders, [NO_CAPTION])
    part.append({"frames": 0, "latents": torch.zeros(0), "captions": [(nothing.states.half(), nothing.pooled.half())]})
    return part


def join_parts(parts: Sequence[Sequence[dict[str, object]]]) -> Corpus:
    """One corpus of the contents of several parts."""
    latents, captions = defaultdict(list), defaultdict(list)
    for kind in (kind for part in parts for kind in part):
        features = [Caption(states.float(), pooled.float()) for states, pooled in kind["captions"]]
        if kind["frames"] == 0:
            (no_caption,) = features
            continue
        before = sum(len(each) for each in latents[kind["frames"]])
        latents[kind["frames"]].append(kind["latents"].float())
        for index, each in enumerate(features):
            captions[kind["frames"], len(each.states)].append((before + index // CAPTIONS, each))
    return Corpus({frames: torch.cat(each) for frames, each in latents.items()}, dict(captions), no_caption)


def encode_scenes(vae: AutoencoderKLHunyuanVideo, scenes: Sequence[Scene], frames: int, *, seed: int) -> Tensor:
    """Latents (n, 16, F, H, W), scaled as the transformer sees them, float32."""
    generators = [torch.Generator().manual_seed(seed * 100_003 + index) for index in range(len(scenes))]
    encoded = []
    for start in range(0, len(scenes), ENCODED_AT_ONCE):
        these = slice(start, start + ENCODED_AT_ONCE)
        pixels = clip_batch([draw(scene, frames) for scene in scenes[these]]).to(vae.dtype)
        encoded.append(encode(vae, pixels, generators=generators[these]).float())
    return torch.cat(encoded) * LATENT_SCALE


def encode_captions(encoders: Encoders, texts: Sequence[str]) -> Iterator[Caption]:
    """The features of each text, without padding."""
    for start in range(0, len(texts), 32):
        states, mask = encode_llm(encoders.llm, texts[start : start + 32])
        pooled, _ = encode_clip(encoders.clip, texts[start : start + 32])
        for each, real, whole in zip(states, mask.bool(), pooled, strict=True):
            yield Caption(each[real], whole)


def _save(content: object, file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    unfinished = file.with_name(f"{file.name}.unfinished")
    torch.save(content, unfinished)
    unfinished.replace(file)
