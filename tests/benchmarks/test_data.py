"""The benchmark of datasets, for a few files that take no time."""

import json

from tests import forked


def test_every_part_is_measured_beside_its_floor_and_nothing_is_left(tmp_path):
    few = ["--files", "60", "--batches", "3", "--pictures", "3", "--clips", "1", "--resolution", "64"]
    few += ["--step_seconds", "0.01", "--batch_size", "2", "--folder", str(tmp_path / "made")]
    (tmp_path / "made").mkdir()
    done = forked.run("benchmarks/data.py", "--json", tmp_path / "f.json", *few)
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))
    assert len(done.stdout.splitlines()) == len(figures)
    assert list(dict.fromkeys(each["part"] for each in figures)) == ["scan", "preview", "batches", "waiting", "caching"]
    for each in figures:
        assert each["seconds"] >= 0
        assert each["part"] == "waiting" or each["floor_seconds"] > 0
    assert [each["items"] for each in figures if each["part"] == "caching"] == [4, 4, 4]
    assert list((tmp_path / "made").iterdir()) == []
