import tracemalloc
from pathlib import Path

import pytest

from gui import log_index
from gui.log_index import LONGEST_LINE, LogIndex, as_shown
from tests.gui.written_runs import make_run


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of a million lines, some 40 MB."""
    path = tmp_path_factory.mktemp("log") / "train.log"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number in range(1_000_000):
            file.write(f"line {number:07d} of a training that goes on 猫\n")
    return path


def test_any_place_of_a_million_lines_is_read_without_the_whole(long_log):
    index = LogIndex(long_log)
    assert index.count() == 1_000_000
    tracemalloc.start()
    for first in (0, 999, 1000, 123_456, 999_998):
        lines = index.page(first, 2)
        assert [line[5:12] for line in lines] == [f"{first:07d}", f"{first + 1:07d}"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 2**20
    assert index.page(999_999, 5) == ["line 0999999 of a training that goes on 猫"]
    assert index.page(1_000_000, 5) == index.page(5_000_000, 5) == []


def test_a_million_lines_are_searched_whole(long_log):
    found = LogIndex(long_log).search("LINE 07777", limit=5)
    assert found.total == 100
    assert [number for number, _ in found.matches] == [777_700, 777_701, 777_702, 777_703, 777_704]
    assert LogIndex(long_log).search("猫", limit=1).total == 1_000_000
    assert LogIndex(long_log).search("no such words", limit=5).total == 0


def test_a_log_that_grows_or_is_written_anew_is_followed(tmp_path):
    path = tmp_path / "train.log"
    path.write_bytes(b"one\ntwo\nthr")
    index = LogIndex(path)
    assert (index.count(), index.page(1, 9)) == (3, ["two", "thr"])
    with path.open("ab") as file:
        file.write(b"ee\n" + b"x\n" * 2500)
    assert (index.count(), index.page(2, 1), index.page(2502, 9)) == (2503, ["three"], ["x"])
    path.write_bytes(b"anew")
    assert (index.count(), index.page(0, 9)) == (1, ["anew"])


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_breaks_are_counted_across_chunks(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(log_index, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(log_index, "LINES_PER_MARK", 3)
    path = tmp_path / "train.log"
    path.write_bytes(b"".join(b"%d\n" % number for number in range(20)))
    index = LogIndex(path)
    assert index.count() == 20
    assert [index.page(first, 1)[0] for first in range(20)] == [str(number) for number in range(20)]
    assert [number for number, _ in index.search("1", limit=99).matches] == [1, *range(10, 20)]


def test_a_line_that_is_drawn_anew_again_and_again_shows_its_last_state(tmp_path):
    path = tmp_path / "train.log"
    progress = b"".join(b"\rsteps: %d%%" % number for number in range(200_000))
    path.write_bytes(b"begun\n" + progress + b"\nsaved\n")
    index = LogIndex(path)
    assert len(progress) > 20 * LONGEST_LINE
    assert index.page(0, 9) == ["begun", "steps: 199999%", "saved"]
    assert index.search("199999", limit=9).matches == [(1, "steps: 199999%")]
    assert index.search("steps: 199998%", limit=9).total == 0  # written over


def test_words_are_found_across_colours_and_colours_stay(tmp_path):
    path = tmp_path / "train.log"
    path.write_bytes(b"\x1b[31mout of \x1b[1mmemory\x1b[0m\nfine\n")
    found = LogIndex(path).search("out of memory", limit=9)
    assert found.matches == [(0, "\x1b[31mout of \x1b[1mmemory\x1b[0m")]
    assert as_shown("a\rb\r") == "b"


def test_the_page_reads_and_searches_the_log_of_a_run(tmp_path, serve_page):
    run, silent = make_run(tmp_path), make_run(tmp_path)
    run.log_file.write_text("one\ntwo\nthree\n")
    client = serve_page().client
    page = client.get(f"/runs/{run.name}/log", params={"from": 1, "count": 1}).json()
    assert page == {"first": 1, "lines": ["two"], "total": 3}
    found = client.get(f"/runs/{run.name}/log/search", params={"text": "T"}).json()
    assert found == {"matches": [[1, "two"], [2, "three"]], "found": 2, "total": 3}
    assert client.get(f"/runs/{silent.name}/log").json()["total"] == 0
    assert client.get(f"/runs/{silent.name}/log/search", params={"text": "T"}).json()["found"] == 0
    assert client.get(f"/runs/{run.name}/log/search").json()["matches"] == []
    for wrong in ({"from": "-1"}, {"from": "x"}, {"count": "9" * 40}):
        assert client.get(f"/runs/{run.name}/log", params=wrong).status_code == 400
    assert client.get("/runs/no_such_run/log").status_code == 404
