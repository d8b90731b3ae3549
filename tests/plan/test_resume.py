"""What a state folder tells, and whether settings fit it."""

from pathlib import Path

import pytest

from backend.errors import ModelFileError, OptionError
from backend.plan.resume import STATE_FILE, StateRecord, check_facts, read_state_record

FACTS = {"network_dim": 4, "seed": 7, "learning_rate": 1e-4, "betas": (0.9, 0.99)}


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "a-state"
    folder.mkdir()
    for name in ("model.safetensors", "optimizer.bin", "scheduler.bin"):
        (folder / name).touch()
    return folder


def test_a_record_is_read_as_it_was_written(state):
    record = StateRecord(12, (0.1, 1 / 3), {"network_dim": 4, "patterns": ["ü"]})
    (state / STATE_FILE).write_text(record.text(), encoding="utf-8")
    assert read_state_record(state) == record


def test_a_state_of_musubi_tuner_has_no_step(state):
    assert read_state_record(state).step is None


def test_a_folder_that_is_no_state_is_told(tmp_path, state):
    with pytest.raises(ModelFileError, match=r"not a state to resume from, model\.safetensors is missing"):
        read_state_record(tmp_path / "nowhere")
    (state / STATE_FILE).write_text('{"step": 12', encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"trainer_state\.json: damaged"):
        read_state_record(state)


def test_the_same_facts_fit():
    assert check_facts({**FACTS, "betas": [0.9, 0.99]}, FACTS, folder=Path("a-state")) == []


def test_a_learning_rate_may_change_and_is_told():
    assert check_facts(FACTS | {"betas": [0.9, 0.99]}, {**FACTS, "learning_rate": 2e-4}, folder=Path("a-state")) == [
        "learning_rate was 0.0001, goes on with 0.0002"
    ]


def test_all_facts_that_do_not_fit_are_named_at_once():
    with pytest.raises(OptionError) as caught:
        check_facts(FACTS, {**FACTS, "network_dim": 8, "seed": 1}, folder=Path("a-state"))
    messages = [problem.message for problem in caught.value.problems]
    assert "a-state: saved with network_dim 4, but now it is 8" in messages
    assert "a-state: saved with seed 7, but now it is 1" in messages
