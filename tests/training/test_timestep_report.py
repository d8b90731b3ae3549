"""The distribution of timesteps as text and as a picture."""

import pytest
from PIL import Image

from backend.training.noise_sampling import NoiseSampling
from backend.training.timestep_report import timestep_histogram


def test_shares_lie_where_the_method_draws():
    even = timestep_histogram(NoiseSampling("uniform", min_timestep=200, max_timestep=600)).shares
    assert sum(even) == pytest.approx(1, abs=1e-4)
    assert even[:10] == [0] * 10 and even[30:] == [0] * 20
    assert even[10:30] == pytest.approx([0.05] * 20, abs=0.005)


def test_the_text_has_a_line_for_each_bin_with_its_share_and_weight():
    text = timestep_histogram(NoiseSampling("shift", 7.0, weighting_scheme="cosmap")).text()
    rows = text.splitlines()[2:]
    assert len(rows) == 50
    assert rows[0].startswith("   0-  20") and rows[-1].startswith(" 980-1000")
    assert rows[-1].count("#") > rows[25].count("#")
    assert "weight 1.27" in rows[25] and "weight 0.649" in rows[-1]


def test_the_picture_shows_a_bar_where_timesteps_are_drawn_and_none_elsewhere(tmp_path):
    path = tmp_path / "timesteps.png"
    timestep_histogram(NoiseSampling("uniform", min_timestep=500)).write_picture(path)
    picture = Image.open(path)
    assert picture.size == (1080, 480)
    assert picture.getpixel((40 + 750, 430)) == (0x7F, 0x9F, 0xCF)
    assert picture.getpixel((40 + 250, 430)) == (255, 255, 255)
