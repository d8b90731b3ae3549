"""The list of runs as rows of a table."""

import os

import pytest

from backend.runs.folder import Job, RunState, create_run_folder, submit
from backend.runs.history import list_rows, row_of
from backend.runs.notes import write_notes
from backend.runs.order import hold
from backend.runs.process import ProcessMark
from backend.runs.status import Reporter, write_json

JOB = Job(kind="train", name="my lora", arguments=("-c", "pass"), devices=("1",))


@pytest.fixture
def run(tmp_path):
    run = create_run_folder(tmp_path, "x")
    submit(run, JOB)
    return run


def test_a_queued_run_has_its_place(run):
    hold(run)
    row = row_of(run)
    assert (row.run, row.title, row.kind, row.state) == (run.name, "my lora", "train", RunState.QUEUED)
    assert (row.held, row.position, row.devices) == (True, 1.0, ("1",))
    assert row.started is None and row.seconds is None


def test_a_run_that_is_over_tells_how_it_went(run):
    clock = iter(range(0, 1000, 10))
    reporter = Reporter(run.path, clock=lambda: next(clock), wall_clock=lambda: 1000.0)
    reporter.update(phase="training", step=7, total_steps=9, loss=0.5, average_loss=0.6)
    reporter.update(outcome="failed", message="why")
    write_json(run.exit_file, {"code": 1, "how": "", "at": 1060.0})
    row = row_of(run)
    assert (row.state, row.step, row.total_steps, row.loss, row.message) == (RunState.FAILED, 7, 9, 0.5, "why")
    assert (row.started, row.ended) == (1000.0, 1060.0)
    assert row.seconds > 0 and row.peak_memory_bytes > 1 << 20
    assert row.failure == "unknown"


def test_what_changes_in_a_run_that_is_over_is_seen(run):
    write_json(run.exit_file, {"code": 0, "how": "", "at": 1060.0})
    assert row_of(run).notes == ""
    write_notes(run, "good")
    assert row_of(run).notes == "good"
    write_notes(run, " \n")
    assert row_of(run).notes == "" and not run.notes_file.exists()


def test_a_run_whose_process_dies_is_not_shown_as_running_although_no_file_changed(run):
    own = ProcessMark.of(os.getpid())
    write_json(run.process_file, own.record())
    assert row_of(run).state is RunState.STARTING
    written = run.process_file.stat()
    write_json(run.process_file, {"pid": own.pid, "started": own.started - 1})
    os.utime(run.process_file, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert row_of(run).state is RunState.CRASHED


def test_all_runs_are_listed_the_newest_first(tmp_path):
    for name in "abc":
        run = create_run_folder(tmp_path, name)
        submit(run, JOB)
    create_run_folder(tmp_path, "not submitted yet")
    assert [row.run[-1] for row in list_rows(tmp_path)] == ["c", "b", "a"]
    assert list_rows(tmp_path / "absent") == []
