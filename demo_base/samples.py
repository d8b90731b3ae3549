"""Samples of the trained family, and what is seen in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from backend.models.hunyuan_video.vae import decode
from backend.training.sampling import PromptText, SampleSettings, SampleSize, sample_latents
from demo_base.corpus import Caption, Encoders, encode_captions
from demo_base.scenes import BACKGROUNDS, COLOURS, PIXELS

SETTINGS = SampleSettings(steps=20, flow_shift=7.0, guidance=6.0, cfg=1.0)
FRAMES = 9
SAME_COLOUR = 70
"""Colours nearer than this, of 255 in each of red, green and blue, are one."""
FEW_PIXELS = 12


@dataclass(frozen=True)
class Sampler:
    """Makes clips of prompts, always the same for the same seed."""

    encoders: Encoders
    transformer: nn.Module
    settings: SampleSettings = SETTINGS

    def clip(self, prompt: str, *, seed: int, frames: int = FRAMES) -> NDArray[np.uint8]:
        """(frames, 64, 64, 3)."""
        text, nothing = (_as_prompt(each) for each in encode_captions(self.encoders, [prompt, ""]))
        latents = sample_latents(
            self.transformer,
            text,
            SampleSize(PIXELS, PIXELS, frames),
            settings=self.settings,
            generator=torch.Generator().manual_seed(seed),
            negative=nothing if self.settings.cfg != 1 else None,
        )
        pixels = decode(self.encoders.vae, latents.to(self.encoders.vae.dtype)).float()
        return ((pixels[0].permute(1, 2, 3, 0) / 2 + 0.5).clamp(0, 1) * 255).byte().numpy()


def write_sheet(clips: Sequence[NDArray[np.uint8]], file: Path, *, columns: int = 2, shown: int = 4) -> None:
    """A picture of all clips, each as a row of some of its frames."""
    strips = [
        np.concatenate([clip[index] for index in np.linspace(0, len(clip) - 1, shown).round().astype(int)], axis=1)
        for clip in clips
    ]
    strips += [np.zeros_like(strips[0])] * (-len(strips) % columns)
    rows = [np.concatenate(strips[start : start + columns], axis=1) for start in range(0, len(strips), columns)]
    Image.fromarray(np.concatenate(rows)).save(file)


def dominant_colour(picture: NDArray[np.uint8], background: str) -> str:
    """The name of the colour that most pixels far from the background's have."""
    pixels = picture.reshape(-1, 3).astype(np.float32)
    far = np.linalg.norm(pixels - np.array(BACKGROUNDS[background]), axis=1) > 90
    if far.sum() < FEW_PIXELS:
        return ""
    distances = np.stack([np.linalg.norm(pixels[far] - np.array(value), axis=1) for value in COLOURS.values()])
    return list(COLOURS)[np.bincount(distances.argmin(axis=0), minlength=len(COLOURS)).argmax()]


def centre(picture: NDArray[np.uint8], colour: str) -> NDArray[np.float64] | None:
    """The middle of the pixels of a colour, x and y up, in pixels; None if there are next to none."""
    near = _near(picture, colour)
    if near.sum() < FEW_PIXELS:
        return None
    rows, columns = np.nonzero(near)
    return np.array([columns.mean(), -rows.mean()])


def direction(clip: NDArray[np.uint8], colour: str) -> str:
    """right, left, up, down, or "" if the colour moves less than 4 pixels."""
    first, last = (centre(clip[index], colour) for index in (0, -1))
    if first is None or last is None or np.abs(moved := last - first).max() < 4:
        return ""
    across, up = moved
    return ("right" if across > 0 else "left") if abs(across) > abs(up) else ("up" if up > 0 else "down")


def shape_overlap(picture: NDArray[np.uint8], drawn: NDArray[np.uint8], colour: str) -> float:
    """Intersection over union of the pixels of a colour in two pictures, moved to the same middle; 1 is the same."""
    first, second = (_centred(each, colour) for each in (picture, drawn))
    return float((first & second).sum() / max(1, (first | second).sum()))


def _centred(picture: NDArray[np.uint8], colour: str) -> NDArray[np.bool_]:
    near = _near(picture, colour)
    middle = centre(picture, colour)
    if middle is None:
        return np.zeros_like(near)
    shift = (round(near.shape[0] / 2 + middle[1]), round(near.shape[1] / 2 - middle[0]))
    return np.roll(near, shift, axis=(0, 1))


def _near(picture: NDArray[np.uint8], colour: str) -> NDArray[np.bool_]:
    return np.linalg.norm(picture.astype(np.float32) - np.array(COLOURS[colour]), axis=2) < SAME_COLOUR


def _as_prompt(caption: Caption) -> PromptText:
    states = caption.states[None]
    return PromptText(states, torch.ones(states.shape[:2]), caption.pooled[None])
