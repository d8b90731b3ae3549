"""Scenes in plain words, said in different ways."""

from __future__ import annotations

import random

from demo_base.scenes import Figure, Scene

SIZE_WORDS = {"small": ("small ", "little "), "medium": ("", "", "medium "), "large": ("large ", "big ")}
MOTION_WORDS = {
    "still": ("", "that stays still", "that does not move"),
    "right": ("moves to the right", "slides to the right", "moving from left to right"),
    "left": ("moves to the left", "slides to the left", "moving from right to left"),
    "up": ("moves up", "rises", "moving upwards"),
    "down": ("moves down", "falls", "moving downwards"),
    "grow": ("grows", "gets bigger", "growing"),
    "shrink": ("shrinks", "gets smaller", "shrinking"),
    "spin": ("spins", "turns around", "spinning"),
    "bounce": ("bounces", "bounces up and down", "bouncing"),
    "orbit": ("moves in a circle", "goes round in a circle", "circling"),
    "fade": ("fades away", "disappears", "fading"),
}
BACKGROUND_WORDS = {
    "black": ("a black background", "black"),
    "white": ("a white background", "white"),
    "grey": ("a grey background", "grey", "a gray background"),
    "navy": ("a navy background", "navy", "a dark blue background"),
    "sky": ("a light blue background", "light blue", "a sky blue background"),
    "sand": ("a sand background", "sand", "a beige background"),
}
PLACE_WORDS = {
    "left of": ("to the left of", "left of"),
    "right of": ("to the right of", "right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}


def caption(scene: Scene, chance: random.Random, *, moves: bool = True) -> str:
    """A caption of the scene. moves: whether it is of a clip; a picture shows no motion."""
    first = scene.figures[0]
    motion = chance.choice(MOTION_WORDS[first.motion]) if moves else ""
    text = _figure(first, chance, with_size=len(scene.figures) == 1)
    if len(scene.figures) == 2:
        place = chance.choice(PLACE_WORDS[scene.place])
        text = f"{text} {place} {_figure(scene.figures[1], chance, with_size=False)}"
        motion = f"and the {first.shape} {_finite(motion)}" if motion else ""
    text = f"{text} {motion}".strip()
    ground = f"on {chance.choice(BACKGROUND_WORDS[scene.background])}"
    return f"{ground}, {text}" if chance.random() < 0.15 else f"{text} {ground}"


def all_words() -> list[str]:
    """Every way in which something is said: texts that a tokenizer should know the words of."""
    phrases = [SIZE_WORDS, MOTION_WORDS, BACKGROUND_WORDS, PLACE_WORDS]
    return [text.strip() for words in phrases for ways in words.values() for text in ways if text]


def _figure(figure: Figure, chance: random.Random, *, with_size: bool) -> str:
    """ "a big red star"."""
    size = chance.choice(SIZE_WORDS[figure.size]) if with_size else ""
    words = f"{size}{figure.colour} {figure.shape}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _finite(motion: str) -> str:
    """ "that stays still" after "and the circle"."""
    return motion.removeprefix("that ") if not motion.endswith("ing") else f"is {motion}"
