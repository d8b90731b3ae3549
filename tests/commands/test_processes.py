"""Two processes, of one machine or of two, train what one does that accumulates twice as many micro-batches."""

import json
import socket
from pathlib import Path

import pytest
import torch

from backend.networks.files import load_lora
from backend.runs.folder import RunState, list_runs
from tests import forked
from tests.commands.tiny_project import interrupt, make_project, processes_of, wait_for_step

# Of 5 batches two processes compute 2, 2 and 1: at the end of an epoch one has nothing of its own to do.
TRAINING = (
    *("--learning_rate", "1e-2", "--network_alpha", "2", "--max_train_epochs", "2", "--save_state"),
    *("--network_args", "loraplus_lr_ratio=4", "--network_dropout", "0.1", "--save_every_n_steps", "2"),
)
TWO = ("--num_processes", "2")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("processes"), pictures=5)


@pytest.fixture(scope="module")
def alone(project):
    """One process that accumulates two micro-batches."""
    return train(project, "alone", "--gradient_accumulation_steps", "2")


@pytest.fixture(scope="module")
def together(project):
    return train(project, "together", *TWO)


def train(project, name, *more):
    train = project.train if "--num_processes" in more else project.train_forked
    done = train(*TRAINING, "--output_name", name, "--output_dir", str(project.folder / name), *more)
    assert done.returncode == 0, done.stdout + done.stderr
    return project.newest_run()


def lora(project, name, file="{}.safetensors"):
    return load_lora(project.folder / name / file.format(name))[0]


def rows_of(run):
    return [json.loads(line) for line in run.metrics_file.read_text(encoding="utf-8").splitlines()]


def assert_the_same_lora(found, expected):
    """To 1e-4 of each tensor's norm: sums of two processes round otherwise, and Adam magnifies that where gradients
    are nearly 0."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (found[name] - tensor).norm() <= 1e-4 * tensor.norm(), name


def test_two_processes_train_what_one_does_with_twice_the_accumulation(project, alone, together):
    assert_the_same_lora(lora(project, "together"), lora(project, "alone"))
    for key in ("loss", "gradient_norm", "average_loss"):
        expected = [row[key] for row in rows_of(alone)]
        assert [row[key] for row in rows_of(together)] == pytest.approx(expected, rel=1e-5)
    assert [row["step"] for row in rows_of(together)] == [1, 2, 3, 4, 5, 6]
    assert [row["items"] for row in rows_of(together)] == [row["items"] for row in rows_of(alone)]
    assert all(row["items"] > 0 for row in rows_of(alone))


def test_two_processes_write_one_set_of_files_and_one_log(project, alone, together):
    alone_names, together_names = (
        {path.name.replace(name, "X") for path in (project.folder / name).iterdir()} for name in ("alone", "together")
    )
    assert together_names == alone_names
    assert together.state() is RunState.FINISHED
    log = together.log_file.read_text(encoding="utf-8")
    assert log.count("trainable parameters") == 1 and log.count("together-step00000004.safetensors") == 1
    assert len(list(Path(together.status().log_folder).rglob("events.*"))) == 1


def test_two_processes_resume_to_the_last_bit(project, together, tmp_path):
    state = project.folder / "together" / "together-step00000002-state"
    done = project.train(*TRAINING, *TWO, "--output_name", "r", "--output_dir", str(tmp_path), "--resume", str(state))
    assert done.returncode == 0, done.stdout + done.stderr
    found, expected = load_lora(tmp_path / "r.safetensors")[0], lora(project, "together")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_what_one_process_began_two_can_finish(project, alone, tmp_path):
    state = project.folder / "alone" / "alone-step00000004-state"
    done = project.train(*TRAINING, *TWO, "--output_name", "r", "--output_dir", str(tmp_path), "--resume", str(state))
    assert done.returncode == 0, done.stdout + done.stderr
    assert_the_same_lora(load_lora(tmp_path / "r.safetensors")[0], lora(project, "alone"))


def test_a_stop_reaches_both_processes(project, tmp_path):
    command = project.start_training(
        *TWO, "--max_train_steps", "100000", "--output_name", "long", "--output_dir", str(tmp_path)
    )
    run = wait_for_step(project, 2, output_name="long")
    interrupt(command)
    output, _ = command.communicate()
    assert command.returncode == 130, output
    assert run.state() is RunState.STOPPED
    step = run.status().step
    assert (tmp_path / f"long-step{step:08d}-state" / "trainer_state.json").exists()
    assert processes_of(project) == []


def test_two_machines_find_each_other_and_train_together(project, alone, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = (*TWO, "--num_machines", "2", "--main_process_ip", "127.0.0.1", "--main_process_port", str(port))
    commands = [
        project.start_training(
            *TRAINING, *meeting, "--machine_rank", str(rank), "--output_name", "far",
            "--output_dir", str(tmp_path / f"machine {rank}"), "--workspace", str(tmp_path / f"workspace {rank}"),
        )
        for rank in (0, 1)
    ]  # fmt: skip
    outputs = [command.communicate()[0] for command in commands]
    assert [command.returncode for command in commands] == [0, 0], "\n".join(outputs)
    assert_the_same_lora(load_lora(tmp_path / "machine 0" / "far.safetensors")[0], lora(project, "alone"))
    assert not (tmp_path / "machine 1").exists()
    runs = [list_runs(tmp_path / f"workspace {rank}")[0] for rank in (0, 1)]
    assert [run.state() for run in runs] == [RunState.FINISHED] * 2
    assert [row["step"] for row in rows_of(runs[1])] == [1, 2, 3, 4, 5, 6]


FSDP = "distributed_type: FSDP\nnum_processes: 7\nfsdp_config:\n  fsdp_version: 2\n  fsdp_reshard_after_forward: {}\n"


@pytest.mark.parametrize("reshard", ["true", "false"])
def test_split_base_weights_train_the_same_lora(project, alone, tmp_path, reshard):
    settings = tmp_path / "fsdp.yaml"
    settings.write_text(FSDP.format(reshard), encoding="utf-8")
    split = train(
        project, f"split {reshard}", *TWO, "--accelerate_config_file", str(settings), "--gradient_checkpointing"
    )
    assert_the_same_lora(lora(project, f"split {reshard}"), lora(project, "alone"))
    expected = [row["gradient_norm"] for row in rows_of(alone)]
    assert [row["gradient_norm"] for row in rows_of(split)] == pytest.approx(expected, rel=1e-5)
    assert (project.folder / f"split {reshard}" / f"split {reshard}-step00000002-state").is_dir()


MAKES_AN_ACCELERATOR = """
from backend.commands.processes import make_accelerator
from backend.config.configuration import Configuration
options = {"ddp_gradient_as_bucket_view": True, "ddp_static_graph": True, "ddp_timeout": 7, "mixed_precision": "bf16"}
accelerator = make_accelerator(Configuration.from_values(options), None)
ddp = accelerator.ddp_handler
print(ddp.gradient_as_bucket_view, ddp.static_graph, accelerator.init_handler.timeout, accelerator.mixed_precision)
"""


def test_what_the_options_say_of_processes_reaches_accelerate(tmp_path):
    (tmp_path / "program.py").write_text(MAKES_AN_ACCELERATOR, encoding="utf-8")
    ended = forked.run(tmp_path / "program.py")
    assert ended.stdout.split() == ["True", "True", "0:07:00", "bf16"], ended.stderr
