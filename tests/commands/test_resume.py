"""A training that is stopped and goes on is, to the last bit, the one that was never stopped."""

import json
import shutil
import sys
from pathlib import Path

import psutil
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from backend.networks.files import load_lora
from backend.plan.resume import read_state_record
from backend.runs.folder import RunState
from tests.commands.tiny_project import interrupt, make_project, wait_for_step

# 5 batches an epoch, 2 accumulated: steps of 2, 2 and 1 micro-batches, so that step 4 ends inside the second epoch.
TRAINING = (
    *("--learning_rate", "1e-2", "--network_alpha", "2", "--gradient_accumulation_steps", "2"),
    *("--max_train_epochs", "3", "--lr_scheduler", "cosine", "--lr_warmup_steps", "2", "--network_dropout", "0.2"),
    *("--network_args", "loraplus_lr_ratio=4", "rank_dropout=0.1", "module_dropout=0.1"),
    *("--timestep_sampling", "shift", "--num_timestep_buckets", "4", "--scale_weight_norms", "0.5"),
    *("--save_every_n_steps", "2", "--save_every_n_epochs", "1", "--save_state", "--output_name", "a"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("resume"), pictures=5)


@pytest.fixture(scope="module")
def whole(project):
    """The training that is never stopped."""
    return trained(project, project.folder / "whole")


def trained(project, folder, *more):
    done = project.train_forked(*TRAINING, "--output_dir", str(folder), *more)
    assert done.returncode == 0, done.stdout + done.stderr
    return project.newest_run()


def tensors_of(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {path.name: load_lora(path)[0] for path in sorted(folder.glob("*.safetensors"))}


def metrics_of(run):
    rows = [json.loads(line) for line in run.metrics_file.read_text(encoding="utf-8").splitlines()]
    keys = ("step", "epoch", "loss", "average_loss", "learning_rates", "gradient_norm")
    return [{key: row[key] for key in keys} for row in rows]


def same(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[name][key], second[name][key]) for name in first for key in first[name]
    )


@pytest.mark.parametrize("state", ["a-step00000004-state", "a-000002-state"])
def test_what_is_resumed_gives_the_same_files_losses_rates_and_log_steps(project, whole, tmp_path, state):
    """From inside an epoch and from its end, with accumulation, LoRA+, every dropout, strata and a weight limit."""
    shutil.copytree(project.folder / "whole" / state, tmp_path / state)
    resumed = trained(project, tmp_path, "--resume", str(tmp_path / state))
    step = 4 if "step" in state else 6
    expected = tensors_of(project.folder / "whole")
    found = tensors_of(tmp_path)
    assert found and same(found, {name: expected[name] for name in found})
    assert {"a.safetensors", "a-step00000008.safetensors"} <= found.keys()
    assert metrics_of(resumed) == metrics_of(whole)[step:]
    events = EventAccumulator(f"{resumed.status().log_folder}/network_train")
    events.Reload()
    assert [event.step for event in events.Scalars("loss/current")] == list(range(step + 1, 10))
    assert resumed.status().step == 9


def test_a_training_that_was_stopped_anywhere_goes_on_in_its_own_folder(project, tmp_path):
    options = (
        *TRAINING[: TRAINING.index("--max_train_epochs")],
        "--output_dir",
        str(tmp_path),
        "--output_name",
        "long",
    )
    command = project.start_training(*options, "--max_train_steps", "100000")
    run = wait_for_step(project, 3, output_name="long")
    interrupt(command)
    output, _ = command.communicate()
    assert command.returncode == 130, output
    step = run.status().step
    state = tmp_path / f"long-step{step:08d}-state"
    assert f"resume from {state}" in run.status().message

    end = ("--max_train_steps", str(step + 2))
    done = project.train_forked(*options, *end, "--resume", str(state))
    assert done.returncode == 0, done.stdout + done.stderr
    resumed = metrics_of(project.newest_run())
    assert [row["step"] for row in resumed] == [step + 1, step + 2]

    done = project.train_forked(*options, *end, "--output_name", "never stopped")
    assert done.returncode == 0, done.stdout + done.stderr
    assert metrics_of(project.newest_run())[step:] == resumed
    found = tensors_of(tmp_path)
    assert same({"": found["long.safetensors"]}, {"": found["never stopped.safetensors"]})


def test_settings_that_do_not_fit_the_state_are_named_before_the_model_is_loaded(project, whole, tmp_path):
    state = project.folder / "whole" / "a-step00000004-state"
    done = project.train_forked(
        *TRAINING, "--output_dir", str(tmp_path), "--resume", str(state), "--network_dim", "4", "--network_dropout", "0"
    )
    assert done.returncode == 2
    log = project.newest_run().log_file.read_text(encoding="utf-8")
    assert "saved with network_dim 2, but now it is 4" in log
    assert "saved with network_dropout 0.2, but now it is 0.0" in log
    assert "base:" not in log and "Traceback" not in log


def test_a_new_learning_rate_holds_from_there_on_and_is_told(project, whole, tmp_path):
    state = project.folder / "whole" / "a-000001-state"
    run = trained(
        project, tmp_path, "--resume", str(state), "--learning_rate", "2e-2", "--lr_scheduler", "constant_with_warmup"
    )
    assert "resume: learning_rate was 0.01, goes on with 0.02" in run.log_file.read_text(encoding="utf-8")
    assert metrics_of(run)[0]["learning_rates"] == {"unet": 2e-2, "unet plus": 8e-2}


def test_a_state_at_the_end_is_told_and_can_be_made_longer(project, whole, tmp_path):
    state = project.folder / "whole" / "a-state"
    done = project.train_forked(*TRAINING, "--output_dir", str(tmp_path), "--resume", str(state))
    assert done.returncode == 2
    assert "is at step 9, and the training has 9" in done.stdout
    run = trained(project, tmp_path, "--resume", str(state), "--max_train_epochs", "4")
    assert [row["step"] for row in metrics_of(run)] == [10, 11, 12]


def test_a_state_of_musubi_tuner_goes_on_at_the_step_of_its_schedule(project, whole, tmp_path):
    state = tmp_path / "theirs-state"
    shutil.copytree(project.folder / "whole" / "a-step00000004-state", state)
    (state / "trainer_state.json").unlink()
    run = trained(project, tmp_path / "out", "--resume", str(state))
    assert "does not tell its step; its schedule is at 4" in run.log_file.read_text(encoding="utf-8")
    rows, expected = metrics_of(run), metrics_of(whole)[4:]
    for key in ("step", "epoch", "loss", "gradient_norm"):
        assert [row[key] for row in rows] == [row[key] for row in expected]


def test_a_state_that_is_none_is_refused_before_the_run(project, tmp_path):
    done = project.train(*TRAINING, "--resume", str(tmp_path))
    assert done.returncode == 2
    assert f"{tmp_path}: not a state to resume from, model.safetensors is missing" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_kill_while_saving_leaves_whole_files_and_states_only(project, tmp_path):
    options = (
        *TRAINING[: TRAINING.index("--max_train_epochs")],
        "--output_dir",
        str(tmp_path),
        "--output_name",
        "dead",
    )
    saving = ("--save_every_n_steps", "1", "--save_state", "--max_train_steps", "100000", "--save_last_n_steps", "3")
    command = project.start_training(*options, *saving)
    run = wait_for_step(project, 6, output_name="dead")
    psutil.Process(int(run.status().process["pid"])).kill()
    command.communicate()
    assert run.state() is RunState.CRASHED
    files = tensors_of(tmp_path)
    states = sorted(path for path in tmp_path.iterdir() if path.name.endswith("-state"))
    assert 3 <= len(files) <= 5 and 3 <= len(states) <= 5
    assert all(read_state_record(state).step == int(state.name[len("dead-step") :][:8]) for state in states)
    step = read_state_record(states[-1]).step
    done = project.train_forked(*options, "--resume", str(states[-1]), "--max_train_steps", str(step + 1))
    assert done.returncode == 0, done.stdout + done.stderr
