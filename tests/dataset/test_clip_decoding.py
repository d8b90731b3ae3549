"""Decoding from a frame further on gives the very frames that decoding from the beginning gives."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from backend.dataset.clip_decoding import SHORT_WAY, decoded_frames, frame_times
from backend.dataset.media_facts import read_facts
from backend.dataset.pixels import read_frames, read_windows
from backend.dataset.windows import FrameWindow

FRAMES = 3 * SHORT_WAY


def write_moving_clip(
    path: Path,
    codec: str,
    *,
    frames: int = FRAMES,
    pixels: str = "yuv420p",
    varying: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """A clip in which every frame differs; varying: frames last 1, 2 or 3 times as long as the first."""
    picture = np.random.default_rng(0).integers(0, 256, (48, 64 + frames, 3), dtype=np.uint8)
    time = 0
    # faststart: the table of frames stands in front, and outlives a cut at the end
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(codec, rate=24, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:, index : index + 64]), format="rgb24")
            frame.pts = time
            time += 1 + index % 3 if varying else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


CLIPS = {
    "b_frames.mp4": ("libx264", {"g": "48"}),
    "open_groups.mp4": ("libx264", {"g": "12", "x264-params": "open-gop=1:bframes=3"}),
    "one_key_frame.mkv": ("libx264", {"g": "1000"}),
    "open_groups.mkv": ("libx265", {"x265-params": "keyint=24:open-gop=1:log-level=none"}),
    "vp9.webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "g": "40"}),
    "vp8.webm": ("libvpx", {"deadline": "realtime", "auto-alt-ref": "1", "lag-in-frames": "16", "g": "40"}),
    "mpeg4.avi": ("mpeg4", {"bf": "2"}),
    "all_key_frames.mov": ("mjpeg", {}),
}


@pytest.mark.parametrize("name", CLIPS)
def test_any_frame_is_found_without_decoding_from_the_beginning(tmp_path: Path, name: str) -> None:
    codec, options = CLIPS[name]
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_moving_clip(tmp_path / name, codec, options=options, pixels=pixels)
    all_frames = [frame for _, frame in decoded_frames(path)]
    assert len(all_frames) == FRAMES

    for start in (0, SHORT_WAY + 1, 150, 151, 191, 192, 193, FRAMES - 1):
        number, frame = next(decoded_frames(path, start=start))
        assert number == start
        assert np.array_equal(frame, all_frames[start])
    assert list(decoded_frames(path, start=FRAMES)) == []


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_frames_that_last_unequally_long_are_found_by_number(tmp_path: Path, ending: str) -> None:
    path = write_moving_clip(tmp_path / f"a.{ending}", "libx264", varying=True)
    all_frames = list(read_frames(path))

    assert read_facts(path, "video").frames == len(frame_times(path)) == len(all_frames) == FRAMES
    cut = dict(read_windows(path, [FrameWindow(250, 5), FrameWindow(3, 5)], bucket=(64, 48)))
    assert np.array_equal(cut[FrameWindow(250, 5)], np.stack(all_frames[250:255]))
    assert np.array_equal(cut[FrameWindow(3, 5)], np.stack(all_frames[3:8]))


def test_the_frames_of_another_rate_are_the_same_from_anywhere(tmp_path: Path) -> None:
    path = write_moving_clip(tmp_path / "a.mp4", "libx264")
    all_frames = list(read_frames(path, source_fps=30))

    found = list(read_frames(path, source_fps=30, start=200, stop=210))

    assert np.array_equal(np.stack(found), np.stack(all_frames[200:210]))


def test_what_lies_between_windows_is_not_decoded(tmp_path: Path) -> None:
    """The middle of the clip is destroyed, and the windows around it are whole."""
    path = write_moving_clip(tmp_path / "a.mp4", "libx264", options={"g": "20", "crf": "20"})
    windows = [FrameWindow(0, 9), FrameWindow(FRAMES - 9, 9)]
    whole = dict(read_windows(path, windows, bucket=(64, 48)))
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size][60:240]
        places = [(packet.pos, packet.size) for packet in packets]
    content = bytearray(path.read_bytes())
    for start, size in places:
        content[start : start + size] = b"\xff" * size
    path.write_bytes(content)

    found = dict(read_windows(path, windows, bucket=(64, 48)))

    assert all(np.array_equal(found[window], whole[window]) for window in windows)


@pytest.mark.parametrize("pixels", ["yuv444p", "yuv420p10le", "gray", "yuv422p"])
def test_odd_pixel_formats_become_rgb(tmp_path: Path, pixels: str) -> None:
    path = write_moving_clip(tmp_path / "a.mkv", "ffv1" if pixels == "gray" else "libx264", frames=5, pixels=pixels)

    frames = list(read_frames(path))

    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 5
    assert read_facts(path, "video").has_alpha is False


def test_transparency_of_a_clip_is_told_and_dropped(tmp_path: Path) -> None:
    path = write_moving_clip(tmp_path / "a.mov", "qtrle", frames=3, pixels="argb")

    assert read_facts(path, "video").has_alpha
    assert next(read_frames(path)).shape == (48, 64, 3)


def test_a_clip_cut_short_is_counted_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_moving_clip(tmp_path / "a.mp4", "libx264", frames=60)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])

    counted = read_facts(path, "video").frames

    assert 20 < counted < 60
    assert len(dict(read_windows(path, [FrameWindow(0, 17)], bucket=(64, 48)))) == 1
