"""Output into a log on a disk that may be full."""

import errno
import io
import os

import pytest

from backend.runs.output import TolerantStream


class Disk(io.StringIO):
    """A file on a disk that can be full or broken."""

    error = 0

    def write(self, text):
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        return super().write(text)


def test_what_does_not_fit_is_left_out_and_counted_when_there_is_room_again():
    disk = Disk()
    stream = TolerantStream(disk)
    print("before", file=stream)
    disk.error = errno.ENOSPC
    assert stream.write("lost") == 4
    print("gone", file=stream, flush=True)
    disk.error = 0
    print("after", file=stream)
    assert disk.getvalue() == "before\n\n[9 characters are missing here: the disk was full]\nafter\n"


def test_other_errors_are_raised():
    disk = Disk()
    disk.error = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        TolerantStream(disk).write("x")


def test_the_rest_of_a_stream_is_as_it_was():
    stream = TolerantStream(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    stream.writelines(["a", "b"])
    stream.flush()
    assert stream.encoding == "utf-8" and not stream.isatty()
    assert stream.buffer.getvalue() == b"ab"
