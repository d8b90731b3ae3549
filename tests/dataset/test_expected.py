"""What training will see is known before anything is cached."""

from __future__ import annotations

from pathlib import Path

import av

from backend.config.dataset_models import ImageDataset, VideoDataset
from backend.dataset.expected import expected_items
from backend.dataset.media_files import count_frames
from backend.dataset.pixels import read_frames
from backend.dataset.windows import FrameWindow
from tests.dataset.media import write_clip, write_picture

DEMO = Path(__file__).parents[2] / "presets" / "demo"


def test_the_demo_photos_fall_into_three_buckets() -> None:
    items, problems = expected_items(
        ImageDataset(image_directory=DEMO / "photos", resolution=(256, 256), enable_bucket=True)
    )

    assert problems == []
    assert {item.bucket for item in items} == {(256, 256), (304, 208), (272, 240)}
    assert items[1].latent_path == DEMO / "photos" / "chelsea_0451x0300_hv.safetensors"
    assert items[1].text_path == DEMO / "photos" / "chelsea_hv_te.safetensors"


def test_clips_too_short_for_a_length_are_named() -> None:
    items, (problem,) = expected_items(
        VideoDataset(video_directory=DEMO / "clips", resolution=(256, 256), target_frames=[1, 25])
    )

    assert [(item.stem, item.frame_count) for item in items] == [
        ("pan_over_galaxies", 1),
        ("pan_over_galaxies", 25),
        ("pan_over_workshop", 1),
        ("pan_over_workshop", 25),
        ("zoom_to_cat", 1),
        ("zoom_to_cat", 25),
        ("zoom_to_rocket_short", 1),
    ]
    assert {item.bucket for item in items} == {(256, 256)}
    assert problem.severity == "warning"
    assert problem.message == f"{DEMO / 'clips' / 'zoom_to_rocket_short.mp4'}: 13 frames, but target_frames asks for 25"


def test_the_frame_rate_shortens_a_clip(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", frames=40)
    dataset = VideoDataset(video_directory=tmp_path, frame_extraction="full", resolution=(64, 64))

    def windows(**values: object) -> list[FrameWindow | None]:
        return [item.window for item in expected_items(dataset.model_copy(update=values))[0]]

    assert windows() == [FrameWindow(0, 37)]
    assert windows(source_fps=60.0) == [FrameWindow(0, 13)]
    assert windows(max_frames=20) == [FrameWindow(0, 17)]


def test_one_bad_file_does_not_hide_the_others(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png", (64, 64))
    write_picture(tmp_path / "b.png", (64, 64)).write_bytes(b"no picture")
    write_picture(tmp_path / "c.png", (10, 64))

    items, problems = expected_items(
        ImageDataset(image_directory=tmp_path, resolution=(64, 64), enable_bucket=True, bucket_no_upscale=True)
    )

    assert [item.stem for item in items] == ["a"]
    assert [problem.severity for problem in problems] == ["warning", "warning"]
    assert "b.png: not a readable picture" in problems[0].message
    assert "c.png: 10x64 pixels, but a side of 16 is the least" in problems[1].message


def test_frames_before_the_cut_of_a_copied_clip_do_not_count(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", frames=30)
    with av.open(str(whole)) as source, av.open(str(tmp_path / "cut.mp4"), "w") as cut:
        stream = cut.add_stream_from_template(source.streams.video[0])
        start = 10 * int(1 / (24 * source.streams.video[0].time_base))
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - start, packet.dts - start, stream
                cut.mux(packet)

    with av.open(str(tmp_path / "cut.mp4")) as container:
        assert container.streams.video[0].frames == 30
    assert count_frames(tmp_path / "cut.mp4") == sum(1 for _ in read_frames(tmp_path / "cut.mp4")) == 20
