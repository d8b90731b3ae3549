"""What the trained base can do, in numbers and pictures: `python -m demo_base measure`."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.training.noise_sampling import continuous_levels
from demo_base.captions import caption
from demo_base.corpus import Corpus, Encoders, join_parts, make_part
from demo_base.samples import FRAMES, Sampler, direction, dominant_colour, shape_overlap, write_sheet
from demo_base.scenes import Figure, Scene, draw, random_scene
from demo_base.shapes import BASE_SHAPES
from demo_base.transformer import velocity_loss

HELD_OUT_SCENES = {1: 48, 9: 48}
SIGMAS = (0.1, 0.3, 0.5, 0.7, 0.9)
SHEET = 24
STRAIGHT = ("right", "left", "up", "down")


def measure(folder: Path, *, steps: int, seed: int) -> None:
    """Print and write the held-out losses and how far samples follow their prompts; steps: how many prompts."""
    encoders = Encoders.load(folder)
    transformer = load_transformer(folder / "transformer.safetensors", dtype=torch.float32)
    losses = {
        name: held_out_losses(
            transformer, join_parts([make_part(encoders, seed=seed + 10**6, held_out=pairs, sizes=HELD_OUT_SCENES)])
        )
        for name, pairs in (("new scenes", False), ("pairs of colour and shape never shown", True))
    }
    sampler = Sampler(encoders, transformer)
    figures = {
        "losses": losses,
        "samples": prompt_following(sampler, prompts=steps, seed=seed, sheet=folder / "sheet.png"),
    }
    (folder / "measures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=2))


@torch.no_grad()
def held_out_losses(transformer: nn.Module, corpus: Corpus) -> dict[str, float]:
    """The loss of the velocity at each noise level, and its mean over them."""
    losses = {}
    for sigma in SIGMAS:
        total = count = 0
        for (frames, length), captioned in sorted(corpus.captions.items()):
            levels = continuous_levels(torch.full((len(captioned),), sigma))
            loss = velocity_loss(
                transformer,
                corpus.latents[frames][[scene for scene, _ in captioned]],
                [features for _, features in captioned],
                sigmas=levels.sigmas,
                timesteps=levels.timesteps,
                generator=torch.Generator().manual_seed(length),
            )
            total, count = total + loss.item() * len(captioned), count + len(captioned)
        losses[str(sigma)] = round(total / count, 4)
    return {**losses, "mean": round(float(np.mean(list(losses.values()))), 4)}


def prompt_following(sampler: Sampler, *, prompts: int, seed: int, sheet: Path) -> dict[str, float]:
    """The shares of samples of one shape with the right colour, shape and direction; and a picture of some of them."""
    chance = random.Random(seed)
    scenes = [_lone_scene(chance) for _ in range(prompts)]
    texts = [caption(scene, chance) for scene in scenes]
    clips = [sampler.clip(text, seed=seed * 1000 + index) for index, text in enumerate(texts)]
    write_sheet(clips[:SHEET], sheet)
    sheet.with_suffix(".txt").write_text("\n".join(texts[:SHEET]) + "\n", encoding="utf-8")
    seen = [_what_is_right(scene, clip) for scene, clip in zip(scenes, clips, strict=True)]
    return {
        name: round(float(np.mean([each[name] for each in seen if name in each])), 3)
        for name in ("colour", "shape", "direction")
    }


def best_overlaps(
    picture: NDArray[np.uint8], figure: Figure, background: str, shapes: Sequence[str]
) -> dict[str, float]:
    """How well what has the figure's colour in the picture overlaps with each shape, at the size that fits it best."""
    drawn = {
        shape: [
            draw(Scene((Figure(shape, figure.colour, size, "grow"),), background))[index]
            for size in ("small", "medium", "large")
            for index in (4, 8, 12)
        ]
        for shape in shapes
    }
    return {
        shape: max(shape_overlap(picture, each, figure.colour) for each in pictures)
        for shape, pictures in drawn.items()
    }


def _lone_scene(chance: random.Random) -> Scene:
    while len((scene := random_scene(chance)).figures) > 1 or scene.figures[0].motion in ("fade", "spin"):
        pass
    return scene


def _what_is_right(scene: Scene, clip: np.ndarray) -> dict[str, bool]:
    (figure,) = scene.figures
    middle = clip[FRAMES // 2]
    overlaps = best_overlaps(clip[0], figure, scene.background, tuple(BASE_SHAPES))
    right = {
        "colour": dominant_colour(middle, scene.background) == figure.colour,
        "shape": max(overlaps, key=overlaps.__getitem__) == figure.shape,
    }
    if figure.motion in STRAIGHT:
        right["direction"] = direction(clip, figure.colour) == figure.motion
    return right
