"""Which run the page shows where none is named."""

import os

import pytest

from backend.runs.current import current_run
from backend.runs.process import ProcessMark
from backend.runs.status import write_json
from tests.runs.jobs import submit_named

ALIVE = ProcessMark.of(os.getpid()).record()
DEAD = {**ALIVE, "started": ALIVE["started"] - 1}


def end(run, *, code, how=""):
    write_json(run.exit_file, {"code": code, "how": how, "at": 0.0})


def test_it_is_the_one_that_goes_on_else_the_first_that_waits_else_the_last(tmp_path):
    assert current_run(tmp_path) is None
    runs = submit_named(tmp_path, "20250101-000000_x", "20260101-000000_x", "20270101-000000_x")
    assert current_run(tmp_path) == runs[0]
    end(runs[0], code=0)
    assert current_run(tmp_path) == runs[1]
    write_json(runs[2].process_file, ALIVE)
    assert current_run(tmp_path) == runs[2]
    for run in runs:
        end(run, code=0)
    assert current_run(tmp_path) == runs[2]


@pytest.mark.parametrize("first", ["train", "lora"])
def test_a_tool_beside_a_training_does_not_take_its_place(tmp_path, first):
    runs = {}
    for kind in (first, "lora" if first == "train" else "train"):
        (runs[kind],) = submit_named(tmp_path, kind, kind=kind)
        write_json(runs[kind].process_file, ALIVE)
    assert current_run(tmp_path) == runs["train"]
    end(runs["train"], code=0)
    assert current_run(tmp_path) == runs["lora"]
    end(runs["lora"], code=0)
    assert current_run(tmp_path) == runs["train"]


def test_a_run_that_was_not_started_gives_way_to_the_one_that_failed(tmp_path):
    (latents,) = submit_named(tmp_path, "latents")
    (texts,) = submit_named(tmp_path, "texts", needs=("latents",))
    (training,) = submit_named(tmp_path, "training", needs=("latents", "texts"))
    write_json(latents.process_file, DEAD)
    end(latents, code=1)
    assert current_run(tmp_path) == latents  # the others wait, for a moment
    end(texts, code=None, how="not started: latents is failed")
    end(training, code=None, how="not started: texts is failed")
    assert current_run(tmp_path) == latents


def test_a_run_that_did_start_stays_whatever_became_of_those_it_needed(tmp_path):
    (needed,) = submit_named(tmp_path, "needed")
    (training,) = submit_named(tmp_path, "training", needs=("needed", "absent"))
    end(needed, code=1)
    write_json(training.process_file, DEAD)
    end(training, code=1)
    assert current_run(tmp_path) == training
