"""Clips of hours: of 172,800 frames only those that are wanted are decoded and held."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from backend.caching.latents import find_latent_work, load_items
from backend.config.dataset_models import DatasetFile, VideoDataset
from backend.dataset.media_facts import read_facts
from backend.dataset.windows import FrameWindow

PROJECT = Path(__file__).parents[2]
TWO_HOURS = 2 * 60 * 60 * 24
REPEATED = 240  # frames; frame i of the clip is frame i mod 240 of these


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds, encoded once and muxed 720 times one behind the other."""
    folder = tmp_path_factory.mktemp("long")
    with av.open(str(folder / "short.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"g": "120", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 320, 176, "yuv420p"
        for index in range(REPEATED):
            pixels = np.full((176, 320, 3), index, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    path = folder / "clips" / "long.mp4"
    path.parent.mkdir()
    with av.open(str(folder / "short.mp4")) as source, av.open(str(path), "w") as target:
        template = source.streams.video[0]
        stream = target.add_stream_from_template(template)
        packets = [(bytes(p), p.pts, p.dts, p.is_keyframe) for p in source.demux(template) if p.size]
        step = packets[1][1] - packets[0][1]
        for shift in range(0, TWO_HOURS * step, REPEATED * step):
            for content, pts, dts, is_keyframe in packets:
                packet = av.Packet(content)
                packet.pts, packet.dts, packet.time_base = pts + shift, dts + shift, template.time_base
                packet.is_keyframe, packet.stream = is_keyframe, stream
                target.mux(packet)
    path.with_suffix(".txt").write_text("a long clip")
    return path


def dataset_of(clip: Path, **values: object) -> VideoDataset:
    return VideoDataset(
        video_directory=clip.parent, cache_directory=clip.parent / "cache", resolution=(320, 176), **values
    )


def test_all_frames_are_counted(long_clip: Path) -> None:
    facts = read_facts(long_clip, "video")

    assert (facts.frames, facts.fps, facts.duration_s) == (TWO_HOURS, 24.0, 7200.0)


# Without the VAE, whose libraries alone take half a gigabyte and seconds to import.
PROGRAM = """
import sys
from pathlib import Path
from backend.config.dataset_models import VideoDataset
from backend.dataset.expected import expected_items
from backend.dataset.pixels import read_windows
values = dict(video_directory=Path(sys.argv[1]), resolution=(320, 176), {values})
items, _ = expected_items(VideoDataset(**values))
windows = [item.window for item in items]
clip, rate = items[0].media.path, values.get("source_fps")
for window, frames in read_windows(clip, windows, bucket=(320, 176), source_fps=rate):
    print(window.start, *(int(frame[0, 0, 0]) for frame in frames))
status = Path("/proc/self/status").read_text()
print(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("rate", ["", "source_fps=24.0"])
def test_windows_far_apart_of_two_hours_take_less_than_half_a_gigabyte(long_clip: Path, rate: str) -> None:
    values = f"target_frames=(25,), frame_extraction='uniform', frame_sample=3, {rate}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(values=values), str(long_clip.parent)],
        capture_output=True,
        text=True,
        cwd=PROJECT,
    )
    assert done.returncode == 0, done.stderr
    *windows, peak_kib = [[int(number) for number in line.split()] for line in done.stdout.splitlines()]

    assert [start for start, *_ in windows] == [0, (TWO_HOURS - 25) // 2, TWO_HOURS - 25]
    for start, *values in windows:
        wanted = [(start + offset) % REPEATED for offset in range(25)]
        assert np.abs(np.array(values) - wanted).max() <= 3  # black and white are a little off in video
    assert peak_kib[0] < 2**19


def test_windows_of_a_long_clip_are_handed_on_one_by_one(long_clip: Path) -> None:
    dataset = dataset_of(long_clip, target_frames=(25,), frame_extraction="chunk")
    (pending,) = find_latent_work(DatasetFile(datasets=(dataset,)), skip_existing=False).pending
    assert len(pending.items) == TWO_HOURS // 25

    loading = load_items(pending, [], workers=1)
    windows = [loaded.item.window for loaded in islice(loading, 3)]
    loading.close()

    assert windows == [FrameWindow(0, 25), FrameWindow(25, 25), FrameWindow(50, 25)]
