"""Decoding of a clip, from its beginning or from a frame further on without what lies before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import av
import numpy as np

from backend.dataset.media_files import quarter_turns, unreadable

SHORT_WAY = 100
"""So many frames are decoded and dropped rather than sought past, which needs the times of all, so reading the file."""

_CONTAINERS_WITH_TIMES = ("mov", "matroska")  # the others tell no time, or one that decoding changes


def decoded_frames(path: Path, *, start: int = 0) -> Iterator[tuple[int, np.ndarray]]:
    """Each frame from number `start` on with its number: (H, W, 3) uint8, RGB, upright.

    Raises DatasetError if it is no clip. A clip that is shorter gives nothing.
    """
    try:
        frames = _from_key_frame(path, start) if start > SHORT_WAY else None
        for number, frame in frames or _from_beginning(path, start):
            yield number, np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarter_turns(frame)))
    except (av.FFmpegError, IndexError) as error:
        raise unreadable(path, "clip", error) from error


def frame_times(path: Path) -> tuple[int, ...]:
    """The time of each frame in the order in which they are shown, in the unit of the stream; none if the file does not
    tell them apart. Nothing is decoded. Raises av.FFmpegError, or IndexError if there are no pictures in it."""
    status = path.stat()
    return _frame_times(path, status.st_mtime_ns, status.st_size)


def _from_beginning(path: Path, start: int) -> Iterator[tuple[int, av.VideoFrame]]:
    with av.open(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        for number, frame in enumerate(container.decode(video=0)):
            if number >= start:
                yield number, frame


def _from_key_frame(path: Path, start: int) -> Iterator[tuple[int, av.VideoFrame]] | None:
    """The frames from `start` on; None where the place cannot be found for certain."""
    times = frame_times(path)
    if start >= len(times):
        return None if not times else iter(())
    frames = _after_seeking(path, times[start])
    first = next(frames, None)
    return None if first is None else _numbered(first, frames, start)


def _after_seeking(path: Path, time: int) -> Iterator[av.VideoFrame]:
    """Frames from this time on; none if seeking did not end at a key frame shown before, from which alone what follows
    is decoded rightly."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        container.seek(time, stream=stream)
        is_sound = False
        for frame in container.decode(stream):
            if frame.pts is None:
                return
            is_sound = is_sound or (frame.key_frame and frame.pts <= time)
            if frame.pts == time and is_sound:
                yield frame
                yield from container.decode(stream)
                return
            if frame.pts > time:
                return


def _numbered(first: av.VideoFrame, others: Iterator[av.VideoFrame], start: int) -> Iterator[tuple[int, av.VideoFrame]]:
    yield start, first
    yield from enumerate(others, start + 1)


@lru_cache(maxsize=4)  # of 2 hours at 24 frames a second: 7 MB
def _frame_times(path: Path, _changed_ns: int, _size: int) -> tuple[int, ...]:
    with av.open(path) as container:
        if not container.format.name.startswith(_CONTAINERS_WITH_TIMES):
            return ()
        packets = container.demux(container.streams.video[0])
        times = [packet.pts for packet in packets if packet.size > 0 and not packet.is_discard]
    if None in times or len(set(times)) < len(times):
        return ()
    return tuple(sorted(times))
