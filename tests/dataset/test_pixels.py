"""Pixels: parity with the reference, upright pictures, and no more frames than asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from backend.dataset.media_facts import read_facts
from backend.dataset.media_files import count_frames
from backend.dataset.pixels import fit_to_bucket, read_frames, read_image, read_windows
from backend.dataset.windows import FrameWindow
from backend.errors import DatasetError
from tests.dataset.media import write_clip, write_picture

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "presets" / "demo" / "clips"


def grey_values(frames: np.ndarray) -> list[int]:
    """What the frames of write_clip count: their grey value / 4."""
    return [round(float(frame[-8:, -8:].mean()) / 4) for frame in frames]


@pytest.mark.parametrize("case", ["down", "up", "crop_w", "same"])
def test_resizing_gives_the_pixels_of_the_reference(case: str) -> None:
    golden = load_file(ROOT / "tests" / "golden" / "resize_pixels.safetensors")
    wanted = golden[f"{case}.out_array"]

    fitted = fit_to_bucket(golden[f"{case}.in"], (wanted.shape[1], wanted.shape[0]))

    assert fitted.shape == wanted.shape
    assert np.abs(fitted.astype(int) - wanted).max() <= 1  # library versions round differently


def test_a_picture_taken_sideways_stands_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = write_picture(tmp_path / "phone.png", (40, 30), exif=exif)
    with Image.open(path) as image:
        stored = np.asarray(image)

    assert read_facts(path, "image").size == (30, 40)
    assert np.array_equal(read_image(path), np.rot90(stored, -1))


def test_transparency_is_cut_off_not_blended(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")

    assert np.array_equal(read_image(tmp_path / "a.png"), pixels[:, :, :3])


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 256, 32768, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")

    assert read_image(tmp_path / "a.png")[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new("RGB", (20, 16), (90, 90, 90)).convert(mode).save(path)

    assert read_image(path).shape == (16, 20, 3)
    assert read_image(path).dtype == np.uint8


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")

    for read in (lambda path: read_facts(path, "image"), read_image):
        with pytest.raises(DatasetError, match=r"a\.png: not a readable picture"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("name", "size", "frames"),
    [
        ("pan_over_galaxies.mp4", (320, 192), 49),
        ("zoom_to_cat.mp4", (256, 256), 33),
        ("pan_over_workshop.mp4", (320, 240), 60),
        ("zoom_to_rocket_short.mp4", (192, 320), 13),
    ],
)
def test_the_demo_clips_are_counted_and_decoded_alike(name: str, size: tuple[int, int], frames: int) -> None:
    assert read_facts(CLIPS / name, "video").size == size
    assert count_frames(CLIPS / name) == frames
    assert sum(1 for _ in read_frames(CLIPS / name)) == frames
    assert next(read_frames(CLIPS / name)).shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    ("ending", "codec"),
    [
        *(("mp4", "libx264"), ("mkv", "libx264"), ("mov", "libx264"), ("avi", "libx264"), ("m4v", "libx264")),
        *(("webm", "libvpx"), ("webm", "libvpx-vp9"), ("flv", "flv"), ("wmv", "wmv2")),
        *(("mpg", "mpeg1video"), ("mpeg", "mpeg2video")),
    ],
)
def test_every_container_is_counted_even_without_a_count_in_it(tmp_path: Path, ending: str, codec: str) -> None:
    path = write_clip(tmp_path / f"a.{ending}", frames=21, codec=codec)

    assert read_facts(path, "video").size == (64, 48)
    assert count_frames(path) == len(list(read_frames(path))) == 21
    assert count_frames(path, limit=9) == len(list(read_frames(path, stop=9))) == 9


def test_frames_of_a_faster_clip_are_left_out(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=40)

    assert grey_values(np.stack(list(read_frames(path, source_fps=60, stop=8)))) == [0, 3, 5, 8, 11, 13, 15, 18]


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_clip_filmed_sideways_stands_upright(tmp_path: Path, rotation: int) -> None:
    path = write_clip(tmp_path / "a.mp4", (64, 48), frames=3, rotation=rotation)
    frame = next(read_frames(path))
    corners = [frame[:4, :4], frame[:4, -4:], frame[-4:, -4:], frame[-4:, :4]]  # clockwise from the left upper one

    assert read_facts(path, "video").size == ((64, 48) if rotation == 180 else (48, 64))
    assert frame.shape == ((48, 64, 3) if rotation == 180 else (64, 48, 3))
    # The display matrix turns against the clock: by 90 degrees the left upper corner goes to the left lower one.
    assert int(np.argmax([corner.mean() for corner in corners])) == {90: 3, 180: 2, -90: 1}[rotation]


def test_windows_that_overlap_are_cut_in_one_pass(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=20)
    windows = [FrameWindow(3, 9), FrameWindow(0, 5), FrameWindow(3, 1), FrameWindow(8, 5), FrameWindow(0, 5)]

    cut = dict(read_windows(path, windows, bucket=(32, 32)))

    assert {window: grey_values(frames) for window, frames in cut.items()} == {
        window: list(range(window.start, window.start + window.count)) for window in windows
    }
    assert cut[FrameWindow(3, 9)].shape == (9, 32, 32, 3)
    assert cut[FrameWindow(3, 9)].dtype == np.uint8


def test_a_clip_that_ends_early_is_named(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=4)

    with pytest.raises(DatasetError, match=r"a\.mp4: ends before frame 9"):
        list(read_windows(path, [FrameWindow(0, 9)], bucket=(32, 32)))


def test_a_damaged_clip_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no clip")

    for read in (lambda path: read_facts(path, "video"), count_frames, lambda path: next(read_frames(path))):
        with pytest.raises(DatasetError, match=r"a\.mp4: not a readable clip"):
            read(tmp_path / "a.mp4")


def test_a_folder_of_pictures_can_stand_for_a_clip(tmp_path: Path) -> None:
    for index in range(10):
        write_picture(tmp_path / "frames" / f"{index:03d}.png", (40 + index, 30), caption=None)

    assert read_facts(tmp_path / "frames", "video").size == (40, 30)
    assert count_frames(tmp_path / "frames") == 10
    assert [frame.shape[1] for frame in read_frames(tmp_path / "frames", source_fps=60)] == [40, 43, 45, 48]
