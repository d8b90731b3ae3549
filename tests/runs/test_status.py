"""What a run says of itself."""

import json
import os

from backend.runs.process import ProcessMark
from backend.runs.status import Reporter, Status, read_json, read_status, write_json


def test_a_status_comes_back_as_it_was_written(tmp_path):
    reporter = Reporter(tmp_path)
    reporter.update(phase="training", step=3, total_steps=10, loss=0.5, files=("a.safetensors",))
    assert read_status(tmp_path / "status.json") == reporter.status
    assert reporter.status.files == ("a.safetensors",)


def test_a_status_names_its_own_process():
    assert ProcessMark.read(Reporter(None).status.process) == ProcessMark.of(os.getpid())


def test_a_new_phase_and_an_outcome_are_written_at_once(tmp_path):
    reporter = Reporter(tmp_path)
    for changes in ({"phase": "loading"}, {"phase": "training"}, {"outcome": "failed", "message": "why"}):
        reporter.update(**changes)
        assert read_status(tmp_path / "status.json") == reporter.status


def test_steps_that_come_fast_are_written_together(tmp_path):
    reporter = Reporter(tmp_path)
    reporter.update(phase="training")
    written = (tmp_path / "status.json").stat().st_ino
    for step in range(20):
        reporter.update(step=step)
    reporter.update(phase="done")
    assert read_status(tmp_path / "status.json").step == 19
    assert (tmp_path / "status.json").stat().st_ino != written


def test_metrics_are_one_line_a_step(tmp_path):
    reporter = Reporter(tmp_path)
    reporter.add_metrics(step=1, loss=0.5)
    reporter.add_metrics(step=2, loss=0.25)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 0.5), (2, 0.25)]
    assert lines[0]["time"] <= lines[1]["time"]


def test_a_status_and_metrics_that_cannot_be_written_are_told_once_and_do_not_end_the_run(tmp_path, capsys):
    (tmp_path / "status.json").mkdir()
    (tmp_path / "metrics.jsonl").mkdir()
    reporter = Reporter(tmp_path)
    reporter.update(phase="training")
    for step in range(3):
        reporter.add_metrics(step=step)
    reporter.update(phase="done", outcome="finished")
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("warning: the run goes on") and "status.json" in told
    (tmp_path / "status.json").rmdir()
    reporter.update(phase="training")
    assert read_status(tmp_path / "status.json").phase == "training"


def test_requests_are_files(tmp_path):
    reporter = Reporter(tmp_path)
    assert not reporter.is_requested("stop")
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "stop").touch()
    assert reporter.is_requested("stop") and not reporter.is_requested("something else")


def test_without_a_folder_nothing_is_written_and_nothing_requested(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(Reporter.FOLDER_VARIABLE, raising=False)
    reporter = Reporter.from_environment()
    reporter.update(phase="done")
    reporter.add_metrics(step=1)
    assert not reporter.is_requested("stop")
    assert list(tmp_path.iterdir()) == []


def test_keys_of_a_later_version_are_passed_over(tmp_path):
    write_json(tmp_path / "status.json", {"phase": "training", "step": 3, "mood": "good"})
    assert read_status(tmp_path / "status.json") == Status(phase="training", step=3)


def test_a_missing_or_broken_file_is_none(tmp_path):
    (tmp_path / "half.json").write_text('{"a": ')
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    for name in ("absent.json", "half.json", "list.json", "binary.json"):
        assert read_json(tmp_path / name) is None
    assert read_status(tmp_path / "absent.json") is None


def test_no_clock_that_jumps_changes_durations_or_how_often_a_status_is_written(tmp_path):
    seconds, of_day = [100.0], [1000.0]
    reporter = Reporter(tmp_path, clock=lambda: seconds[0], wall_clock=lambda: of_day[0])
    reporter.update(phase="training")
    for jump in (-1e6, 5e8, 0.0):
        seconds[0] += 1
        of_day[0] = 1000 + jump
        reporter.update(step=int(seconds[0]))
        status = read_status(tmp_path / "status.json")
        assert (status.seconds, status.step) == (seconds[0] - 100, int(seconds[0]))
        assert status.updated == of_day[0] and status.started == 1000
    reporter.add_metrics(step=1)
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["time"] == 1000


def test_a_trouble_is_told_at_once_and_each_kind_once(tmp_path):
    reporter = Reporter(tmp_path)
    for message in ("first", "second"):
        reporter.trouble("disk_full", message)
    assert read_status(tmp_path / "status.json").troubles == ({"id": "disk_full", "message": "first"},)


def test_room_is_kept_back_until_the_outcome_is_told(tmp_path):
    reporter = Reporter(tmp_path)
    assert (tmp_path / ".reserve").stat().st_size == 64 * 1024
    reporter.update(phase="done", outcome="finished")
    assert not (tmp_path / ".reserve").exists()


def test_the_most_memory_that_was_used_is_told_in_bytes():
    reporter = Reporter(None)
    reporter.update(phase="training")
    before = reporter.status.peak_memory_bytes
    filled = b"x" * (before + (64 << 20))
    reporter.update(step=1)
    assert reporter.status.peak_memory_bytes >= len(filled)
