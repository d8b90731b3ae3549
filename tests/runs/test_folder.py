"""A run on disk and the state that follows from it."""

import json
import os
from dataclasses import replace

import pytest

from backend.runs.current import current_run
from backend.runs.folder import (
    Job,
    RunState,
    create_run_folder,
    find_run,
    list_runs,
    make_numbered_folder,
    submit,
)
from backend.runs.process import ProcessMark
from backend.runs.status import Reporter, write_json
from tests.runs.jobs import submit_named

ALIVE = ProcessMark.of(os.getpid()).record()
DEAD = {**ALIVE, "started": ALIVE["started"] - 1}
JOB = Job(kind="train", name="x", arguments=("-c", "pass"))


@pytest.fixture
def run(tmp_path):
    run = create_run_folder(tmp_path, "x")
    submit(run, JOB)
    return run


def write_status(run, **status):
    write_json(run.status_file, {"phase": "training", "process": ALIVE, **status})


def end(run, *, code, how=""):
    write_json(run.exit_file, {"code": code, "how": how, "at": 0.0})


def test_a_run_without_a_process_is_queued(run):
    assert run.state() is RunState.QUEUED and not run.state().is_over


def test_a_queued_run_that_is_asked_to_stop_is_stopped_at_once(run):
    run.request("stop")
    assert run.state() is RunState.STOPPED
    write_json(run.process_file, ALIVE)  # a worker had just begun it
    assert run.state() is RunState.STARTING


def test_a_living_process_without_a_status_is_starting(run):
    write_json(run.process_file, ALIVE)
    assert run.state() is RunState.STARTING


def test_a_living_process_with_a_status_is_running_even_when_it_told_its_outcome(run):
    write_json(run.process_file, ALIVE)
    write_status(run)
    assert run.state() is RunState.RUNNING
    write_status(run, outcome="finished")
    assert run.state() is RunState.RUNNING


def test_the_status_alone_tells_of_the_process_too(run):
    write_status(run)
    assert run.process() == ProcessMark.read(ALIVE)
    assert run.state() is RunState.RUNNING


@pytest.mark.parametrize("outcome", ["finished", "stopped", "failed"])
def test_the_outcome_counts_once_the_process_is_gone(run, outcome):
    write_json(run.process_file, DEAD)
    write_status(run, outcome=outcome, process=DEAD)
    assert run.state() is RunState(outcome) and run.state().is_over
    end(run, code=1)
    assert run.state() is RunState(outcome)


def test_a_trainer_that_outlives_its_launcher_is_running(run):
    write_json(run.process_file, DEAD)
    write_status(run, process=ALIVE)
    assert run.state() is RunState.RUNNING
    assert run.process() == ProcessMark.read(ALIVE)


def test_a_process_that_is_gone_without_an_outcome_crashed(run):
    write_json(run.process_file, DEAD)
    assert run.state() is RunState.CRASHED
    write_status(run, process=DEAD)
    assert run.state() is RunState.CRASHED


@pytest.mark.parametrize(
    ("code", "how", "state"),
    [
        (0, "", RunState.FINISHED),
        (1, "", RunState.FAILED),
        (2, "", RunState.FAILED),
        (130, "", RunState.STOPPED),
        (-9, "", RunState.CRASHED),
        (-15, "terminated", RunState.STOPPED),
        (-9, "killed", RunState.STOPPED),
        (None, "cancelled", RunState.STOPPED),
        (None, "not started: y is failed", RunState.FAILED),
    ],
)
def test_the_recorded_end_counts_where_the_run_told_nothing(run, code, how, state):
    end(run, code=code, how=how)
    assert run.state() is state and run.state().is_over


@pytest.mark.parametrize(
    ("code", "how", "state"),
    [
        (1, "", RunState.CRASHED),  # accelerate's launcher says 1 whatever became of the trainer
        (-9, "", RunState.CRASHED),
        (0, "", RunState.FINISHED),
        (130, "", RunState.STOPPED),
        (None, "terminated", RunState.STOPPED),
        (None, "killed", RunState.STOPPED),
    ],
)
def test_a_run_that_began_and_did_not_say_how_it_ended_crashed_unless_it_was_stopped(run, code, how, state):
    write_status(run, outcome="", process=DEAD)
    end(run, code=code, how=how)
    assert run.state() is state


def test_a_job_comes_back_as_it_was(tmp_path):
    run = create_run_folder(tmp_path, "x")
    assert run.job() is None
    submit(run, Job(kind="train", name="日本", arguments=("-m", "a b"), needs=("y",), foreground=True))
    job = run.job()
    assert (job.kind, job.name, job.arguments, job.needs, job.foreground) == (
        "train",
        "日本",
        ("-m", "a b"),
        ("y",),
        True,
    )
    assert job.submitted > 0


@pytest.mark.parametrize("name", ["my lora", "../../evil", "a/b\\c", "日本語", "", "...", "x" * 300, "CON"])
def test_any_name_makes_a_folder_under_runs(tmp_path, name):
    run = create_run_folder(tmp_path, name)
    assert run.path.parent == tmp_path / "runs" and run.path.is_dir()


def test_runs_of_one_second_have_folders_of_their_own(tmp_path):
    folders = {create_run_folder(tmp_path, "x").path for _ in range(12)}
    assert len(folders) == 12


def test_a_folder_whose_name_is_taken_gets_a_number(tmp_path):
    assert [make_numbered_folder(tmp_path / "logs", "a").name for _ in range(3)] == ["a", "a_2", "a_3"]


def test_the_run_submitted_last_is_listed_first_and_unsubmitted_folders_are_not(tmp_path):
    assert list_runs(tmp_path) == []
    runs = submit_named(tmp_path, "20260101-000000_a", "20270101-000000_b", "20250101-000000_c")
    create_run_folder(tmp_path, "unsubmitted")
    (tmp_path / "runs" / "a stray file").touch()
    assert list_runs(tmp_path) == runs[::-1]


@pytest.mark.parametrize("training", ["animals", "küche", "zebra"])
def test_runs_of_one_second_are_in_the_order_of_their_submission(tmp_path, training):
    names = [f"20260101-000000_{name}" for name in ("cache_latents", "cache_text_encoder_outputs", training)]
    runs = submit_named(tmp_path, *names)
    assert list_runs(tmp_path) == runs[::-1]
    for run in runs:
        assert current_run(tmp_path) == run
        end(run, code=0)
    assert current_run(tmp_path) == runs[-1]


@pytest.mark.parametrize(
    "record", [{"name": "x", "arguments": []}, {"kind": "train", "name": "x", "arguments": None}, ["train"], "half"]
)
def test_a_folder_whose_job_is_none_of_ours_is_not_a_run(tmp_path, record):
    (run,) = submit_named(tmp_path, "foreign")
    run.job_file.write_text(json.dumps(record)[:-1] if record == "half" else json.dumps(record))
    assert run.job() is None
    assert list_runs(tmp_path) == [] and find_run(tmp_path, run.name) is None and current_run(tmp_path) is None


def test_a_process_that_was_recorded_badly_is_none(run):
    write_json(run.process_file, {"pid": 1})
    write_status(run, process={"started": 0.0})
    assert run.process() is None


def test_a_run_in_the_foreground_whose_command_died_before_it_started_it_crashed(tmp_path):
    (run,) = submit_named(tmp_path, "x", foreground=True)
    assert run.state() is RunState.QUEUED and run.job().owner == ProcessMark.of(os.getpid())
    write_json(run.job_file, {"kind": "train", "name": "x", "arguments": [], "foreground": True, "owner": DEAD})
    assert run.state() is RunState.CRASHED


def test_a_job_that_was_written_again_is_read_again(run):
    assert run.job().name == "x"
    submit(run, replace(JOB, name="y"))
    assert run.job().name == "y"


def test_a_run_is_found_by_its_name_only(run, tmp_path):
    assert find_run(tmp_path, run.name) == run
    for name in ("", ".", "..", "absent", f"../runs/{run.name}", str(run.path)):
        assert find_run(tmp_path, name) is None


def test_a_request_reaches_the_run(run):
    assert run.requested_at("stop") is None and not run.has_request("stop")
    run.request("stop")
    run.request("stop")
    assert run.has_request("stop") and run.requested_at("stop") > 0
    assert Reporter(run.path).is_requested("stop")
