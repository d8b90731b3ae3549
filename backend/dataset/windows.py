"""Frame windows: the stretches of a clip that become training items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice, takewhile

from backend.config.dataset_models import VideoDataset, whole_latent_frames

TRAINED_FPS = 24.0  # what HunyuanVideo was made for


@dataclass(frozen=True, order=True)
class FrameWindow:
    """`count` frames from frame `start` on, counted after the frame rate was changed."""

    start: int
    count: int


def frame_windows(frames: int, dataset: VideoDataset) -> list[FrameWindow]:
    """The windows cut from a clip of so many kept frames, by ascending length, then start.

    Lengths above `frames` give none. uniform names a window more than once when the clip is short of positions.
    """
    if dataset.frame_extraction == "full":
        longest = min(frames, dataset.max_frames)
        return [FrameWindow(0, whole_latent_frames(longest))] if longest > 0 else []
    return [
        FrameWindow(start, length)
        for length in dataset.window_lengths
        if length <= frames
        for start in _starts(frames - length, length, dataset)
    ]


def frames_needed(dataset: VideoDataset) -> int | None:
    """How many kept frames from the beginning decide the windows; None if all of them."""
    match dataset.frame_extraction:
        case "full":
            return dataset.max_frames
        case "head":
            return max(dataset.window_lengths)
        case "uniform" if dataset.frame_sample == 1:
            return max(dataset.window_lengths)
        case _:
            return None


def kept_frames(frames: int, *, source_fps: float | None, start: int = 0, stop: int | None = None) -> list[int]:
    """Indices of the frames used of a clip of so many frames; start and stop count used frames."""
    return list(islice(takewhile(lambda index: index < frames, kept_indices(source_fps)), start, stop))


def kept_indices(source_fps: float | None) -> Iterator[int]:
    """Indices of the frames used, without end: one for each 1/24 s, never one twice.

    Below 24 fps every frame is used, as nothing is put between. Source: musubi-tuner's running sum, whose rounding
    decides which of two neighbours is used.
    """
    if source_fps is None:
        yield from count()
        return
    step = TRAINED_FPS / source_fps
    position, previous = 0.0, -1
    for index in count():
        if int(position) != previous:
            previous = int(position)
            yield index
        position += step


def _starts(last: int, length: int, dataset: VideoDataset) -> list[int]:
    """Where windows of this length begin; last: the last frame where one can."""
    match dataset.frame_extraction:
        case "chunk":
            return list(range(0, last + 1, length))
        case "slide":
            return list(range(0, last + 1, dataset.frame_stride))
        case "uniform" if dataset.frame_sample > 1:
            step = last / (dataset.frame_sample - 1)
            return [*(int(index * step) for index in range(dataset.frame_sample - 1)), last]
        case _:
            return [0]
