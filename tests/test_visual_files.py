"""Pictures and clips with a description inside."""

import av
import numpy as np
import pytest
from PIL import Image

from backend.visual_files import FRAMES_PER_SECOND, read_description, write_frames

DESCRIPTION = {"prompt": "a cat, «küche» --w 5 = 日本語", "seed": "42"}


def gradient(frames, height=32, width=48):
    rows, columns = np.mgrid[0:height, 0:width]
    picture = np.stack([rows * 7, columns * 5, np.full_like(rows, 90)], axis=-1).astype(np.uint8)
    return np.stack([np.roll(picture, 2 * index, axis=1) for index in range(frames)])


def test_one_frame_is_a_picture_that_holds_every_pixel(tmp_path):
    frames = gradient(1)
    path = write_frames(tmp_path / "new" / "a.b", frames, description=DESCRIPTION)
    assert path == tmp_path / "new" / "a.b.png"
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(image), frames[0])


def test_several_frames_are_an_h264_clip_close_to_them(tmp_path):
    frames = gradient(5)
    path = write_frames(tmp_path / "clip", frames, description=DESCRIPTION)
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", FRAMES_PER_SECOND)
        assert stream.codec_context.pix_fmt == "yuv420p"
        found = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert found.shape == frames.shape
    assert np.abs(found.astype(int) - frames).mean() < 6


@pytest.mark.parametrize("count", [1, 3])
def test_the_description_can_be_read_again(tmp_path, count):
    path = write_frames(tmp_path / "x", gradient(count), description=DESCRIPTION)
    assert read_description(path) == DESCRIPTION


def test_an_older_file_is_replaced_and_nothing_else_is_left(tmp_path):
    write_frames(tmp_path / "x", gradient(1))
    write_frames(tmp_path / "x", gradient(1) // 2)
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
    with Image.open(tmp_path / "x.png") as image:
        assert np.array_equal(np.asarray(image), gradient(1)[0] // 2)
