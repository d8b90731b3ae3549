"""Files are replaced whole or not at all."""

import threading

import pytest

from backend.atomic_file import patiently, read_text, replaced, write_text


def test_text_is_written_as_utf_8_with_the_line_ends_that_it_has(tmp_path):
    path = tmp_path / "new folder" / "ファイル.txt"
    write_text(path, "é\n\r\n")
    assert path.read_bytes() == b"\xc3\xa9\n\r\n"


@pytest.mark.parametrize("durable", [True, False])
def test_text_comes_back_as_it_was_written(tmp_path, durable):
    path = tmp_path / "file.txt"
    for text in ("first", "日本\n"):
        write_text(path, text, durable=durable)
        assert read_text(path) == text


def refused(times):
    """An action that Windows refuses that many times, while another process has the file open."""
    refusals = iter(range(times))

    def action():
        for number in refusals:
            raise PermissionError(f"refusal {number}")
        return "done"

    return action


def test_what_is_refused_for_a_moment_is_tried_again():
    assert patiently(refused(3), patience_s=600) == "done"


def test_what_stays_refused_raises_in_the_end():
    with pytest.raises(PermissionError, match="refusal 0"):
        patiently(refused(1000), patience_s=0)
    with pytest.raises(PermissionError, match=r"refusal [1-9]"):
        patiently(refused(1000), patience_s=0.1)


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
