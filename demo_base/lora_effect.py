"""What a LoRA of the new look changes in samples: `python -m demo_base.lora_effect --folder FOLDER --lora FILE`."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.networks.merge import MergedLoRA
from backend.networks.weights import read_lora_weights
from demo_base.captions import caption
from demo_base.corpus import Encoders
from demo_base.measures import best_overlaps
from demo_base.new_look import CLIPS, SHAPE
from demo_base.samples import Sampler, write_sheet
from demo_base.scenes import BACKGROUNDS, COLOURS, HARDLY_SEEN, Figure, Scene
from demo_base.shapes import BASE_SHAPES

MOTIONS = ("still", "right", "left", "up", "down", "grow", "bounce")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the base's weights lie")
    parser.add_argument("--lora", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sheet", type=Path, required=True, help="picture to write: without and with, in turn")
    options = parser.parse_args()
    torch.set_num_threads(1)
    chance = random.Random(options.seed)
    scenes = [_new_scene(chance) for _ in range(options.prompts)]
    texts = [caption(scene, chance) for scene in scenes]
    clips = {name: _clips(options.folder, texts, lora) for name, lora in (("without", None), ("with", options.lora))}
    write_sheet([clip for pair in zip(*clips.values(), strict=True) for clip in pair], options.sheet)
    print(json.dumps({name: heart_figures(scenes, each) for name, each in clips.items()}, indent=2))


def heart_figures(scenes: Sequence[Scene], clips: Sequence[NDArray[np.uint8]]) -> dict[str, float]:
    """The share of clips in which the shape is rather a heart than anything else, and its overlap with a heart."""
    seen = [
        best_overlaps(clip[0], scene.figures[0], scene.background, (*BASE_SHAPES, SHAPE))
        for scene, clip in zip(scenes, clips, strict=True)
    ]
    hearts = [max(overlaps, key=overlaps.__getitem__) == SHAPE for overlaps in seen]
    return {
        "hearts": round(float(np.mean(hearts)), 3),
        "overlap with a heart": round(float(np.mean([overlaps[SHAPE] for overlaps in seen])), 3),
    }


def _clips(folder: Path, texts: Sequence[str], lora: Path | None) -> list[NDArray[np.uint8]]:
    merge = MergedLoRA(read_lora_weights(lora), multiplier=1.0) if lora else None
    transformer = load_transformer(folder / "transformer.safetensors", dtype=torch.float32, merge=merge)
    sampler = Sampler(Encoders.load(folder), transformer)
    return [sampler.clip(text, seed=index) for index, text in enumerate(texts)]


def _new_scene(chance: random.Random) -> Scene:
    """A heart with a pair of colour and background that no clip of the dataset has."""
    shown = {(colour, background) for colour, _, _, background in CLIPS}
    while True:
        colour, background = chance.choice(list(COLOURS)), chance.choice(list(BACKGROUNDS))
        if colour not in (background, HARDLY_SEEN.get(background)) and (colour, background) not in shown:
            size = chance.choice(("medium", "large"))
            return Scene((Figure(SHAPE, colour, size, chance.choice(MOTIONS)),), background)


if __name__ == "__main__":
    main()
