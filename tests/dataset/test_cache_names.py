"""Names of cache files are those of the reference, and are read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.dataset.cache_names import LatentCacheName, latent_cache_name, parse_latent_cache_name, text_cache_name
from backend.dataset.windows import FrameWindow

GOLDEN = Path(__file__).parents[1] / "golden"


def test_the_names_of_the_references_own_caches_are_made_and_read() -> None:
    names = [entry["file"] for entry in json.loads((GOLDEN / "cache_index.json").read_text())]

    assert names == [
        latent_cache_name("a photo_with_under", (100, 75)),
        text_cache_name("a photo_with_under"),
        latent_cache_name("clip.one", (640, 480), FrameWindow(3, 9)),
        text_cache_name("clip.one"),
    ]
    assert parse_latent_cache_name(names[0], "image") == LatentCacheName("a photo_with_under", (100, 75), None)
    assert parse_latent_cache_name(names[2], "video") == LatentCacheName("clip.one", (640, 480), FrameWindow(3, 9))


@given(
    st.text(min_size=1, max_size=30),
    st.tuples(st.integers(1, 99_999), st.integers(1, 99_999)),
    st.one_of(st.none(), st.builds(FrameWindow, st.integers(0, 999_999), st.integers(1, 9_999))),
)
def test_every_name_is_read_back(stem: str, size: tuple[int, int], window: FrameWindow | None) -> None:
    name = latent_cache_name(stem, size, window)

    assert parse_latent_cache_name(name, "video" if window else "image") == LatentCacheName(stem, size, window)


@pytest.mark.parametrize(
    "name",
    [
        "a_hv_te.safetensors",
        "a_0100x0075_wan.safetensors",
        "_0100x0075_hv.safetensors",
        "a_0100x0075_hv.safetensors.tmp",
        "a_0000x0075_hv.safetensors",
        "a_0100x0075_hv.safetensors",  # a picture's, not a clip's
    ],
)
def test_other_files_are_no_caches_of_clips(name: str) -> None:
    assert parse_latent_cache_name(name, "video") is None
