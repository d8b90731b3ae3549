"""Clips that the autoencoder learns from: scenes, and much that the transformer never sees and a LoRA may bring."""

from __future__ import annotations

import dataclasses
import random
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.config.presets import SHIPPED
from demo_base import scenes
from demo_base.shapes import NEW_SHAPES

Clip = NDArray[np.uint8]
"""(T, height, width, 3)."""


def any_clip(chance: random.Random, frames: int) -> Clip:
    """A scene in two of three cases, with any shape; else a patterned scene or a piece of a photo that drifts."""
    kind = chance.random()
    if kind < 0.12:
        return _photo_clip(chance, frames)
    clip = scenes.draw(_scene(chance), frames)
    return _patterned(clip, chance) if kind < 0.33 else clip


def _scene(chance: random.Random) -> scenes.Scene:
    scene = scenes.random_scene(chance, held_out=chance.random() < 0.2)
    if chance.random() < 0.15:
        first = dataclasses.replace(scene.figures[0], shape=chance.choice(list(NEW_SHAPES)))
        scene = dataclasses.replace(scene, figures=(first, *scene.figures[1:]))
    return scene


def _patterned(clip: Clip, chance: random.Random) -> Clip:
    """The clip with stripes or checks that are lighter or darker, or with its colours mixed."""
    x, y = np.meshgrid(np.arange(clip.shape[2]), np.arange(clip.shape[1]))
    angle, period = chance.uniform(0, np.pi), chance.uniform(5, 16)
    waves = np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / period)
    if chance.random() < 0.5:
        waves = waves * np.sin(2 * np.pi * (np.sin(angle) * x - np.cos(angle) * y) / period)
    stripes = np.clip(0.5 + 3 * waves, 0, 1)[..., None] * chance.uniform(-90, 90)
    mixed = clip[..., chance.sample(range(3), 3)].astype(np.float32)
    return np.clip(mixed + stripes, 0, 255).astype(np.uint8)


def _photo_clip(chance: random.Random, frames: int) -> Clip:
    photo = chance.choice(_photos())
    side = chance.randint(scenes.PIXELS, min(photo.size) - 20)
    left, top = (chance.randint(10, length - side - 10) for length in photo.size)
    across, up = chance.uniform(-10, 10) / frames, chance.uniform(-10, 10) / frames
    boxes = [(left + across * index, top + up * index) for index in range(frames)]
    size = (scenes.PIXELS, scenes.PIXELS)
    cut = [photo.resize(size, Image.Resampling.BICUBIC, (x, y, x + side, y + side)) for x, y in boxes]
    return np.stack([np.asarray(picture) for picture in cut])


@lru_cache(maxsize=1)
def _photos() -> tuple[Image.Image, ...]:
    files = sorted((SHIPPED / "demo" / "photos").glob("*.jpg"))
    return tuple(Image.open(file).convert("RGB").reduce(2) for file in files)
