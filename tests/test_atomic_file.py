"""Files are replaced whole or not at all."""

import threading

import pytest

from backend.atomic_file import replaced, write_text


def test_text_is_written_as_utf_8_with_the_line_ends_that_it_has(tmp_path):
    path = tmp_path / "new folder" / "ファイル.txt"
    write_text(path, "é\n\r\n")
    assert path.read_bytes() == b"\xc3\xa9\n\r\n"


def test_a_failure_leaves_the_old_file_and_no_temporary_one(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(OSError, match="disk full"), replaced(path) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_threads_that_write_the_same_file_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "file.txt"
    texts = {f"{number} " * 20_000 for number in range(8)}
    threads = [threading.Thread(target=write_text, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]
