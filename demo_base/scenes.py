"""Scenes of one or two coloured shapes that move: what is in them, how they are drawn, how they are chosen."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_base.shapes import BASE_SHAPES, NEW_SHAPES, Shape

PIXELS = 64
FRAMES = 17
"""The longest clip; a shorter one shows the middle of the same movement."""

COLOURS = {
    "red": (225, 45, 45),
    "orange": (245, 140, 30),
    "yellow": (250, 215, 45),
    "green": (50, 175, 75),
    "blue": (45, 95, 225),
    "purple": (145, 65, 200),
    "pink": (245, 130, 185),
    "white": (248, 248, 248),
    "black": (22, 22, 26),
}
BACKGROUNDS = {
    "black": (20, 20, 24),
    "white": (244, 244, 242),
    "grey": (135, 138, 145),
    "navy": (24, 36, 84),
    "sky": (150, 205, 240),
    "sand": (228, 208, 165),
}
HARDLY_SEEN = {"navy": "black"}
"""A colour that is not drawn on a background."""
SIZES = {"small": 10.0, "medium": 14.0, "large": 19.0}
"""Radii in pixels."""
MOTIONS = ("still", "right", "left", "up", "down", "grow", "shrink", "spin", "bounce", "orbit", "fade")
IN_PLACE = ("still", "grow", "shrink", "spin", "bounce", "fade")
ROUND = ("circle", "ring")
"""Nobody sees these spin."""
PLACES = {"left of": (-16.0, 0.0), "right of": (16.0, 0.0), "above": (0.0, 16.0), "below": (0.0, -16.0)}
"""Where the first of two shapes is, in pixels from the middle; the second is on the other side."""

HELD_OUT = (("purple", "star"), ("green", "moon"), ("orange", "cross"), ("blue", "triangle"), ("pink", "square"))
"""Pairs of colour and shape that the base model is never shown."""


@dataclass(frozen=True)
class Figure:
    """One shape with its colour, size in pixels, motion, and its middle in pixels from that of the picture."""

    shape: str
    colour: str
    size: str
    motion: str
    middle: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Scene:
    """One or two figures before a background. place: where the first is, seen from the second."""

    figures: tuple[Figure, ...]
    background: str
    place: str = ""

    @property
    def is_held_out(self) -> bool:
        return any((figure.colour, figure.shape) in HELD_OUT for figure in self.figures)


def random_scene(random_numbers: random.Random, *, held_out: bool = False) -> Scene:
    """A scene of the kind that the base learns, or of the kind that is kept from it."""
    while (scene := _any_scene(random_numbers)).is_held_out != held_out:
        pass
    return scene


def draw(scene: Scene, frames: int = FRAMES, *, pixels: int = PIXELS) -> NDArray[np.uint8]:
    """The pictures, (frames, pixels, pixels, 3)."""
    start = (FRAMES - frames) // 2
    return np.stack([_frame(scene, start + index, pixels) for index in range(frames)])


def _any_scene(chance: random.Random) -> Scene:
    background = chance.choice(list(BACKGROUNDS))
    if chance.random() < 0.25:
        place = chance.choice(list(PLACES))
        across, up = PLACES[place]
        first = _figure(chance, background, IN_PLACE, sizes=("small",), middle=(across, up))
        second = _figure(chance, background, ("still",), sizes=("small",), middle=(-across, -up))
        if (first.shape, first.colour) != (second.shape, second.colour):
            return Scene((first, second), background, place)
    middle = (chance.uniform(-4, 4), chance.uniform(-4, 4))
    return Scene((_figure(chance, background, MOTIONS, sizes=tuple(SIZES), middle=middle),), background)


def _figure(
    chance: random.Random,
    background: str,
    motions: tuple[str, ...],
    *,
    sizes: tuple[str, ...],
    middle: tuple[float, float],
) -> Figure:
    shape = chance.choice(list(BASE_SHAPES))
    colour = chance.choice([colour for colour in COLOURS if colour not in (background, HARDLY_SEEN.get(background))])
    motion = chance.choice([motion for motion in motions if not (motion == "spin" and shape in ROUND)])
    return Figure(shape, colour, chance.choice(sizes), motion, middle)


def _frame(scene: Scene, index: int, pixels: int) -> NDArray[np.uint8]:
    steps = (np.arange(pixels, dtype=np.float32) + 0.5) * (PIXELS / pixels) - PIXELS / 2
    x, y = steps[None, :], -steps[:, None]
    light = 1 + 0.12 * y / (PIXELS / 2)  # a little darker towards the ground
    picture = (
        np.array(BACKGROUNDS[scene.background], dtype=np.float32) * np.broadcast_to(light, (pixels, pixels))[..., None]
    )
    for figure in scene.figures:
        picture = _add(picture, figure, index, x, y)
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _add(picture: NDArray[np.float32], figure: Figure, index: int, x: NDArray, y: NDArray) -> NDArray[np.float32]:
    """The picture with the figure and its soft shadow."""
    across, up, scale, turn, opacity = _pose(figure, index)
    radius = SIZES[figure.size] * scale
    shape = {**BASE_SHAPES, **NEW_SHAPES}[figure.shape]
    pixel = float(x[0, 1] - x[0, 0])
    shadow = _coverage(shape, x - across - 2, y - up + 3, radius=radius, turn=turn, softness=5.0)
    picture = picture * (1 - 0.3 * opacity * shadow[..., None])
    inside = opacity * _coverage(shape, x - across, y - up, radius=radius, turn=turn, softness=pixel)[..., None]
    return picture * (1 - inside) + np.array(COLOURS[figure.colour], dtype=np.float32) * inside


def _coverage(shape: Shape, x: NDArray, y: NDArray, *, radius: float, turn: float, softness: float) -> NDArray:
    """How much of each pixel lies inside, 0 to 1. softness: pixels over which the edge fades."""
    cos, sin = np.cos(turn), np.sin(turn)
    distance = shape((cos * x - sin * y) / radius, (sin * x + cos * y) / radius) * radius
    return np.clip(0.5 - distance / softness, 0, 1)


def _pose(figure: Figure, index: int) -> tuple[float, float, float, float, float]:
    """Middle across and up in pixels, scale, clockwise turn in radians, and opacity in a frame."""
    across, up = figure.middle
    time = index - (FRAMES - 1) / 2
    if figure.motion in ("right", "left"):
        across += 1.9 * time * (1 if figure.motion == "right" else -1)
    elif figure.motion in ("up", "down"):
        up += 1.9 * time * (1 if figure.motion == "up" else -1)
    elif figure.motion == "bounce":
        up += 14 * abs(np.sin(np.pi * index / 8)) - 7
    elif figure.motion == "orbit":
        angle = 2 * np.pi * index / FRAMES
        across, up = across + 11 * np.sin(angle), up + 11 * np.cos(angle)
    scale = 1 + 0.055 * time * {"grow": 1, "shrink": -1}.get(figure.motion, 0)
    turn = np.pi / 16 * index if figure.motion == "spin" else 0.0
    opacity = 1 - 0.94 * index / (FRAMES - 1) if figure.motion == "fade" else 1.0
    return across, up, scale, turn, opacity
