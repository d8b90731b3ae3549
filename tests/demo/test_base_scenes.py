"""The scenes that the demo's base learns from, and the words for them."""

import random

import numpy as np
import pytest

from demo_base.captions import all_words, caption
from demo_base.samples import direction, dominant_colour, shape_overlap
from demo_base.scenes import BACKGROUNDS, COLOURS, FRAMES, HELD_OUT, Figure, Scene, draw, random_scene
from demo_base.shapes import BASE_SHAPES, NEW_SHAPES


def scene(shape: str = "square", colour: str = "red", motion: str = "still", background: str = "sky") -> Scene:
    return Scene((Figure(shape, colour, "medium", motion),), background)


def test_the_same_seed_draws_the_same_scenes():
    first, second = (draw(random_scene(random.Random(5))) for _ in range(2))
    assert first.shape == (FRAMES, 64, 64, 3)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("shape", [*BASE_SHAPES, *NEW_SHAPES])
def test_a_shape_has_its_colour_inside_and_the_background_around(shape):
    picture = draw(scene(shape), 1)[0]
    red = np.linalg.norm(picture - np.array(COLOURS["red"], dtype=float), axis=2) < 30
    assert 150 < red.sum() < 800  # of a shape 28 pixels wide
    assert not red[:10].any()
    assert np.abs(picture[0, 0] - np.array(BACKGROUNDS["sky"], dtype=float)).max() < 40
    assert dominant_colour(picture, "sky") == "red"


@pytest.mark.parametrize("motion", ["right", "left", "up", "down"])
@pytest.mark.parametrize("frames", [9, 17])
def test_a_shape_moves_as_its_motion_says(motion, frames):
    assert direction(draw(scene(motion=motion), frames), "red") == motion


@pytest.mark.parametrize("motion", ["still", "grow", "spin"])
def test_a_shape_that_stays_in_place_goes_nowhere(motion):
    assert direction(draw(scene(motion=motion)), "red") == ""


def test_growing_and_fading_are_seen():
    def red_pixels(motion: str, index: int) -> int:
        picture = draw(scene(motion=motion))[index]
        return (np.linalg.norm(picture - np.array(COLOURS["red"], dtype=float), axis=2) < 30).sum()

    assert red_pixels("grow", -1) > 2 * red_pixels("grow", 0)
    assert red_pixels("fade", 0) > 300
    assert red_pixels("fade", -1) == 0


def test_a_short_clip_is_the_middle_of_the_long_one():
    assert np.array_equal(draw(scene(motion="right"), 9), draw(scene(motion="right"), 17)[4:13])


def test_held_out_pairs_come_only_where_they_are_asked_for():
    chance = random.Random(0)
    for held_out in (False, True):
        scenes = [random_scene(chance, held_out=held_out) for _ in range(300)]
        pairs = [{(figure.colour, figure.shape) for figure in each.figures} for each in scenes]
        assert all(bool(each & set(HELD_OUT)) is held_out for each in pairs)


def test_no_shape_has_the_colour_of_its_background():
    chance = random.Random(1)
    scenes = [random_scene(chance) for _ in range(300)]
    assert all(figure.colour != each.background for each in scenes for figure in each.figures)


def test_a_caption_names_what_is_there_and_how_it_moves():
    chance = random.Random(0)
    for _ in range(200):
        each = random_scene(chance)
        text = caption(each, chance)
        assert all(f"{figure.colour} {figure.shape}" in text for figure in each.figures)
        words = text.replace(",", "").split()
        assert set(words) <= set(" ".join([*all_words(), *COLOURS, *BASE_SHAPES, "a an on and is the"]).split())


def test_captions_of_one_scene_are_worded_in_many_ways():
    chance = random.Random(0)
    assert len({caption(scene(motion="right"), chance) for _ in range(100)}) > 8


def test_a_picture_is_not_said_to_move():
    chance = random.Random(0)
    assert {caption(scene(motion="fade"), chance, moves=False).count("fad") for _ in range(50)} == {0}


def test_a_shape_is_told_from_another_by_its_overlap_wherever_it_is():
    moved = draw(scene("heart", motion="right"), 1)[0]
    overlaps = {shape: shape_overlap(moved, draw(scene(shape), 1)[0], "red") for shape in [*BASE_SHAPES, *NEW_SHAPES]}
    assert max(overlaps, key=overlaps.get) == "heart"
    assert overlaps["heart"] > 0.9
    assert shape_overlap(moved, moved, "green") == 0
