"""Looking at what the VAE would be given."""

import re

import av
import numpy as np
import pytest
from PIL import Image

from backend.caching.latents import find_latent_work, load_items
from backend.caching.preview import as_blocks, preview_items
from backend.config.dataset import read_dataset_file
from tests.caching.small_dataset import write_dataset


@pytest.fixture
def config(tmp_path):
    return write_dataset(tmp_path)


def shown(config, kind):
    lines = []
    for pending in find_latent_work(read_dataset_file(config), skip_existing=False).pending:
        preview_items(load_items(pending, []), kind, width=20, say=lines.append)
    return lines


def test_pictures_are_written_at_the_size_of_their_bucket(config):
    paths = shown(config, "image")
    assert len(paths) == 12
    with Image.open(config.parent / "cache_images" / "preview" / "tall_0060x0090.png") as picture:
        assert picture.size == (48, 64)


def test_windows_are_written_as_clips_of_their_frames(config):
    shown(config, "video")
    with av.open(config.parent / "cache_clips" / "preview" / "clip.one_00000-005_0064x0048.mp4") as clip:
        assert sum(1 for _ in clip.decode(video=0)) == 5


def test_the_console_shows_each_item_with_its_size(config):
    lines = shown(config, "console")
    assert lines[0].startswith("tall_0060x0090: 48x64, 1 frame")
    rows = lines[1].splitlines()
    assert [row.count("▀") for row in rows] == [20] * len(rows)


def test_blocks_show_two_rows_of_pixels_in_one_line():
    picture = np.zeros((2, 2, 3), dtype=np.uint8)
    picture[0, :, 0], picture[1, :, 2] = 255, 255  # red above blue
    text = as_blocks(picture, width=2)
    assert re.findall(r"\x1b\[([34]8;2;[\d;]+)m", text) == ["38;2;255;0;0", "48;2;0;0;255"] * 2
