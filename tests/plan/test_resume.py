"""What a state folder tells, and whether settings fit it."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from backend.errors import ModelFileError, OptionError
from backend.plan.resume import STATE_FILE, StateRecord, check_facts, read_state_record

FACTS = {"network_dim": 4, "seed": 7, "learning_rate": 1e-4, "betas": (0.9, 0.99)}


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "a-state"
    folder.mkdir()
    save_file({"a.alpha": np.ones(1)}, folder / "model.safetensors")
    for name in ("optimizer.bin", "scheduler.bin"):
        with zipfile.ZipFile(folder / name, "w") as file:
            file.writestr("data.pkl", b"what torch writes")
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


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.bin", "scheduler.bin"])
@pytest.mark.parametrize("part", [0, 0.5, 0.9])
def test_a_file_that_was_cut_short_is_named_before_anything_is_loaded(state, name, part):
    content = (state / name).read_bytes()
    (state / name).write_bytes(content[: int(part * len(content))])
    with pytest.raises(ModelFileError, match=rf"a-state.{name}: damaged \(choose an earlier state\)"):
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
