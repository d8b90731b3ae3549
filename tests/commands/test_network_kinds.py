"""Trainings of LoHa and LoKr from the command to the file, resumed, started from files, with files merged."""

import json
import shutil

import pytest
import torch

from backend.config.toml_file import read_configuration
from backend.networks.files import load_lora
from backend.plan.adapters import LABELS, LOHA, LOKR, PARTS
from backend.plan.plan import make_plan
from backend.plan.resume import read_state_record
from tests.commands.tiny_project import make_project

STEPS, SAVED_AT = 20, 12
ARGUMENTS = {LOHA: ("rank_dropout=0.1", "conv_dim=4"), LOKR: ("factor=4", "module_dropout=0.1")}
TRAINING = (
    *("--learning_rate", "2e-2", "--network_alpha", "2", "--max_train_steps", str(STEPS), "--output_name", "a"),
    *("--save_every_n_steps", str(SAVED_AT), "--save_state", "--scale_weight_norms", "4", "--gradient_checkpointing"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="module", params=[LOHA, LOKR])
def trained(project, request):
    """A training of each kind: its network_module, its run and its folder."""
    folder = project.folder / LABELS[request.param]
    return request.param, train(project, request.param, folder), folder


def train(project, kind, folder, *more):
    options = ("--network_module", kind, "--network_args", *ARGUMENTS[kind], "--output_dir", str(folder))
    done = project.train_forked(*TRAINING, *options, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    return project.newest_run()


def losses_of(run):
    return [json.loads(line)["loss"] for line in run.metrics_file.read_text(encoding="utf-8").splitlines()]


def test_the_loss_falls(trained):
    _, run, _ = trained
    losses = losses_of(run)
    assert len(losses) == STEPS and sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_the_file_has_the_documented_keys_and_tells_how_it_was_made(trained):
    kind, run, folder = trained
    tensors, metadata = load_lora(folder / "a.safetensors")
    parts = {name.partition(".")[2] for name in tensors}
    assert parts == ({*PARTS[LOHA], "alpha"} if kind == LOHA else {"lokr_w1", "lokr_w2_a", "lokr_w2_b", "alpha"})
    assert all(name.startswith("lora_unet_") for name in tensors)
    assert all(tensor.isfinite().all() and tensor.any() for tensor in tensors.values())
    assert {tensor.item() for name, tensor in tensors.items() if name.endswith("alpha")} == {2.0}
    assert metadata["ss_network_module"] == kind
    expected = {LOHA: {"conv_dim": "4", "rank_dropout": "0.1"}, LOKR: {"factor": "4", "module_dropout": "0.1"}}
    assert json.loads(metadata["ss_network_args"]) == expected[kind]
    assert (metadata["ss_network_dim"], metadata["ss_network_alpha"]) == ("2", "2.0")
    log = run.log_file.read_text(encoding="utf-8")
    numbers = sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith("alpha"))
    assert f"network: {kind}, 20 modules, rank 2, {numbers:,} trainable parameters" in log


def test_the_plan_knew_how_much_would_be_trained_and_how_large_the_file_would_be(trained):
    _, run, folder = trained
    tensors, _ = load_lora(folder / "a.safetensors")
    plan = make_plan(read_configuration(run.config_file))
    assert plan.trainable_parameters == sum(
        tensor.numel() for name, tensor in tensors.items() if not name.endswith("alpha")
    )
    assert plan.file_bytes == sum(tensor.nbytes for tensor in tensors.values())


def test_a_resumed_training_gives_the_same_weights_and_losses_to_the_last_bit(trained, project, tmp_path):
    kind, run, folder = trained
    state = tmp_path / f"a-step{SAVED_AT:08d}-state"
    shutil.copytree(folder / state.name, state)
    assert read_state_record(state).facts["factor"] == (4 if kind == LOKR else -1)
    resumed = train(project, kind, tmp_path, "--resume", str(state))
    assert losses_of(resumed) == losses_of(run)[SAVED_AT:]
    expected, _ = load_lora(folder / "a.safetensors")
    found, _ = load_lora(tmp_path / "a.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_another_factor_does_not_fit_the_state(trained, project, tmp_path):
    kind, _, folder = trained
    state = folder / f"a-step{SAVED_AT:08d}-state"
    options = ("--network_module", kind, "--resume", str(state), "--output_dir", str(tmp_path))
    done = project.train_forked(*TRAINING, *options, "--network_args", "factor=2")
    assert done.returncode == 2
    assert f"saved with factor {4 if kind == LOKR else -1}, but now it is 2" in done.stdout


def test_a_training_starts_from_a_file_with_its_own_ranks_and_factor_and_others_merged(trained, project):
    kind, _, folder = trained
    start = folder / "a.safetensors"
    done = project.train_forked(
        *("--network_module", kind, "--network_weights", str(start), "--dim_from_weights", "--max_train_steps", "1"),
        *("--base_weights", str(start), "--base_weights_multiplier", "-0.5", "--learning_rate", "1e-9", "--fp8_scaled"),
        *("--network_dim", "7", "--network_args", "factor=2"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = project.newest_run()
    found, _ = load_lora(run.checkpoints / "lora.safetensors")
    expected, _ = load_lora(start)
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-7) for name in found)
    log = run.log_file.read_text(encoding="utf-8")
    assert f"merged {start}, strength -0.5" in log and "rank 2," in log and "warning" not in log


def test_a_file_of_another_kind_is_merged_but_not_started_from(trained, project):
    kind, _, folder = trained
    file = str(folder / "a.safetensors")
    assert project.train_forked("--base_weights", file, "--max_train_steps", "1").returncode == 0
    runs = len(list((project.workspace / "runs").iterdir()))
    done = project.train("--network_weights", file, "--max_train_steps", "1")
    assert done.returncode == 2
    assert f"{file}: this is a {LABELS[kind]} file, but network_module is networks.lora" in done.stderr
    assert f"set network_module to {kind}" in done.stderr
    assert len(list((project.workspace / "runs").iterdir())) == runs
