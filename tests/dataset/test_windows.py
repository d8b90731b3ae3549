"""Frame windows and kept frames are those of the reference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backend.config.dataset_models import VideoDataset
from backend.dataset.windows import FrameWindow, frame_windows, frames_needed, kept_frames

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "buckets_frames.json").read_text())


def clips(**values: object) -> VideoDataset:
    return VideoDataset(video_directory="clips", **values)


@pytest.mark.parametrize("case", GOLDEN["frame_extraction"], ids=lambda case: f"{case['mode']}-{case['total_frames']}")
def test_every_mode_cuts_the_windows_of_the_reference(case: dict) -> None:
    names = ("target_frames", "frame_stride", "frame_sample", "max_frames")
    dataset = clips(frame_extraction=case["mode"], **{name: case[name] for name in names if name in case})

    windows = frame_windows(case["total_frames"], dataset)

    assert windows == [FrameWindow(item["start"], item["count"]) for item in case["items"]]


@pytest.mark.parametrize("case", GOLDEN["fps_conversion_100_frames"])
def test_the_frame_rate_is_brought_to_24_as_in_the_reference(case: dict) -> None:
    kept = kept_frames(100, source_fps=case["source_fps"], start=case["start"] or 0, stop=case["end"])

    assert kept == case["frames"]


@pytest.mark.parametrize(("fps", "frames"), [(60, 16), (30, 32), (24, 40), (12, 40)])
def test_forty_frames_become_fewer_but_never_more(fps: float, frames: int) -> None:
    assert len(kept_frames(40, source_fps=fps)) == frames


def test_slow_clips_count_by_their_frames_so_that_head_finds_enough() -> None:
    assert kept_frames(40, source_fps=12, stop=25) == list(range(25))


def test_uniform_starts_are_a_truncated_linspace() -> None:
    for frames in range(1, 130):
        for sample in range(2, 30):
            windows = frame_windows(frames, clips(frame_extraction="uniform", frame_sample=sample))
            assert [window.start for window in windows] == np.linspace(0, frames - 1, sample, dtype=int).tolist()


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        ({"target_frames": [1, 25]}, 25),
        ({"target_frames": [27], "frame_extraction": "uniform"}, 25),
        ({"frame_extraction": "uniform", "frame_sample": 2}, None),
        ({"frame_extraction": "chunk"}, None),
        ({"frame_extraction": "full", "max_frames": 45}, 45),
    ],
)
def test_no_more_frames_are_asked_for_than_decide_the_windows(values: dict, needed: int | None) -> None:
    dataset = clips(**values)

    assert frames_needed(dataset) == needed
    if needed is not None:
        assert frame_windows(needed, dataset) == frame_windows(1000, dataset)


def test_an_empty_clip_has_no_windows() -> None:
    assert frame_windows(0, clips()) == frame_windows(0, clips(frame_extraction="full")) == []
