"""Flat shapes as distance functions: below 0 inside, about 1 for each radius outside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float32]
Shape = Callable[[Grid, Grid], Grid]
"""From coordinates in radii, x to the right and y up, to the distance from the outline."""


def circle(x: Grid, y: Grid) -> Grid:
    return np.hypot(x, y) - 1


def square(x: Grid, y: Grid) -> Grid:
    return np.maximum(abs(x), abs(y)) - 0.86


def triangle(x: Grid, y: Grid) -> Grid:
    slanted = 0.866 * abs(x) + 0.5 * y
    return np.maximum(slanted, -y) - 0.62


def star(x: Grid, y: Grid) -> Grid:
    """Five points, the first of them up."""
    sector = 2 * np.pi / 5
    angle = np.arctan2(x, y)
    folded = abs(angle - sector * np.round(angle / sector))  # between a point, 0, and a notch, pi / 5
    radius = np.hypot(x, y)
    along, across = radius * np.cos(folded), radius * np.sin(folded)
    notch = 0.47 * np.array([np.cos(sector / 2), np.sin(sector / 2)])
    point = np.array([1.2, 0])
    edge = (point - notch) / np.linalg.norm(point - notch)
    return (along - point[0]) * -edge[1] + across * edge[0]


def cross(x: Grid, y: Grid) -> Grid:
    bars = (np.maximum(abs(x) - 0.34, abs(y) - 1), np.maximum(abs(x) - 1, abs(y) - 0.34))
    return np.minimum(*bars)


def ring(x: Grid, y: Grid) -> Grid:
    return abs(np.hypot(x, y) - 0.76) - 0.27


def moon(x: Grid, y: Grid) -> Grid:
    return np.maximum(np.hypot(x, y) - 1, 0.86 - np.hypot(x - 0.5, y - 0.12))


def heart(x: Grid, y: Grid) -> Grid:
    """Two half circles above a point; Inigo Quilez, "2D distance functions"."""
    x, y = abs(x) / 1.75, (y + 0.95) / 1.75  # from a heart between 0 and 1.1
    lobe = np.hypot(x - 0.25, y - 0.75) - 0.3536
    diagonal = np.maximum(x + y, 0) / 2
    body = np.minimum(np.hypot(x, y - 1), np.hypot(x - diagonal, y - diagonal)) * np.sign(x - y)
    return np.where(x + y > 1, lobe, body) * 1.75


BASE_SHAPES: dict[str, Shape] = {
    "circle": circle,
    "square": square,
    "triangle": triangle,
    "star": star,
    "cross": cross,
    "ring": ring,
    "moon": moon,
}
"""What the base model learns, by name."""

NEW_SHAPES: dict[str, Shape] = {"heart": heart}
"""What only a LoRA learns."""
