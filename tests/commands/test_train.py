"""`python -m backend train`: the command, accelerate's launcher and the trainer, as they are called."""

import json
import sys
from pathlib import Path

import filelock
import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from backend.__main__ import main
from backend.commands.train import train
from backend.config.configuration import Configuration
from backend.config.toml_file import read_configuration
from backend.errors import OptionError, UserError
from backend.networks.files import load_lora
from backend.runs.folder import RunState
from backend.runs.training_job import submit_training
from tests.commands.tiny_project import TRANSFORMER, interrupt, make_project, processes_of, wait_for_step

LEARN = ("--learning_rate", "1e-2", "--network_alpha", "2")
SCHEDULE = ("--max_train_epochs", "2", "--gradient_accumulation_steps", "2", "--save_every_n_steps", "3")
PRESERVE = ("--preserve_distribution_shape",)
NAMED = ("--output_name", "küche 1", "--log_prefix", "kü_", "--network_args", "loraplus_lr_ratio=4")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("a projéct [1]"))


@pytest.fixture(scope="module")
def finished(project):
    """A training of two epochs, three batches in each, two accumulated: steps of 2, 1, 2 and 1 micro-batches."""
    done = project.train(*LEARN, *SCHEDULE, *NAMED)
    assert done.returncode == 0, done.stdout + done.stderr
    return project.newest_run()


def test_the_run_is_finished_and_says_what_it_made(finished):
    status = finished.status()
    assert finished.state() is RunState.FINISHED
    assert (status.step, status.total_steps, status.epoch, status.total_epochs) == (4, 4, 2, 2)
    names = [path.name for path in sorted(finished.checkpoints.iterdir())]
    assert names == ["küche 1-step00000003.safetensors", "küche 1.safetensors"]
    assert status.files[-1] == str(finished.checkpoints / "küche 1.safetensors")


def test_the_run_keeps_a_complete_configuration_with_absolute_paths(finished, project):
    configuration = read_configuration(finished.config_file)
    assert configuration.dataset.dataset_config == str(finished.dataset_file)
    assert configuration.saving.output_dir == str(finished.checkpoints)
    assert configuration.logging.logging_dir == str(project.workspace / "logs")
    assert configuration.network.loraplus_lr_ratio == 4


def test_the_lora_learned_and_its_metadata_tell_how(finished):
    tensors, metadata = load_lora(finished.checkpoints / "küche 1.safetensors")
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert sum(tensor.abs().sum() for name, tensor in tensors.items() if "lora_up" in name) > 0
    expected = {
        "ss_steps": "4", "ss_epoch": "2", "ss_num_epochs": "2", "ss_max_train_steps": "4", "ss_network_dim": "2",
        "ss_num_batches_per_epoch": "3", "ss_num_train_items": "3", "ss_seed": "7", "ss_network_alpha": "2.0",
        "ss_gradient_accumulation_steps": "2", "ss_output_name": "küche 1", "ss_sd_model_name": "dit_model.safetensors",
        "ss_network_args": '{"loraplus_lr_ratio": "4"}', "ss_base_model_version": "hunyuan_video",
    }  # fmt: skip
    assert {key: metadata[key] for key in expected} == expected
    _, earlier = load_lora(finished.checkpoints / "küche 1-step00000003.safetensors")
    assert (earlier["ss_steps"], earlier["ss_epoch"]) == ("3", "1")


def test_every_step_is_one_point_in_metrics_and_event_file(finished):
    rows = [json.loads(line) for line in finished.metrics_file.read_text(encoding="utf-8").splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert [row["epoch"] for row in rows] == [1, 1, 2, 2]
    assert rows[1]["average_loss"] == pytest.approx((rows[0]["loss"] + rows[1]["loss"]) / 2)
    folder = finished.status().log_folder
    assert "kü_" in folder
    events = EventAccumulator(f"{folder}/network_train")
    events.Reload()
    assert [event.step for event in events.Scalars("loss/current")] == [1, 2, 3, 4]
    assert [event.value for event in events.Scalars("loss/current")] == pytest.approx([row["loss"] for row in rows])
    assert [event.value for event in events.Scalars("lr/unet plus")] == pytest.approx([4e-2] * 4)
    assert [event.step for event in events.Scalars("loss/epoch")] == [1, 2]


def test_the_same_seed_gives_the_same_lora_bit_for_bit(finished, project):
    assert project.train_forked(*LEARN, *SCHEDULE, *NAMED).returncode == 0
    again = project.newest_run()
    assert again.path != finished.path
    first, _ = load_lora(finished.checkpoints / "küche 1.safetensors")
    second, _ = load_lora(again.checkpoints / "küche 1.safetensors")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_ctrl_c_saves_a_checkpoint_ends_with_130_and_leaves_no_process(project):
    command = project.start_training("--max_train_steps", "100000", "--output_name", "long")
    run = wait_for_step(project, 2, output_name="long")
    interrupt(command)
    output, _ = command.communicate()
    assert command.returncode == 130, output
    assert run.state() is RunState.STOPPED
    step = run.status().step
    saved = sorted(path.name for path in run.checkpoints.iterdir())
    assert saved == [f"long-step{step:08d}-state", f"long-step{step:08d}.safetensors"]
    assert f"stopped after step {step} of 100000" in run.status().message
    assert "error" not in run.log_file.read_text(encoding="utf-8")
    assert processes_of(project) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_trainer_that_is_killed_crashed_and_leaves_no_process(project):
    command = project.start_training("--max_train_steps", "100000", "--output_name", "killed")
    run = wait_for_step(project, 2, output_name="killed")
    psutil.Process(int(run.status().process["pid"])).kill()
    output, _ = command.communicate()
    assert command.returncode == 1, output
    assert run.state() is RunState.CRASHED
    assert processes_of(project) == []


def test_a_queued_training_does_not_overwrite_the_file_of_one_before_it(project, tmp_path):
    options = {"dit": str(TRANSFORMER), "dataset_config": str(project.dataset_file), "output_dir": str(tmp_path)}
    configuration = Configuration.from_values({**options, "output_name": "twice", "max_train_steps": 1})
    first, second = (submit_training(configuration, workspace=project.workspace) for _ in range(2))
    (tmp_path / "twice.safetensors").write_bytes(b"of the first")
    with pytest.raises(OptionError, match=r"twice\.safetensors: exists already"):
        train(second)
    assert second.status().outcome == "failed" and "exists already" in second.status().message
    assert (tmp_path / "twice.safetensors").read_bytes() == b"of the first"
    assert list(tmp_path.iterdir()) == [tmp_path / "twice.safetensors"]
    assert first.status() is None


def test_one_run_is_not_trained_by_two_processes(finished):
    with filelock.FileLock(finished.lock_file), pytest.raises(UserError, match="another process trains this run"):
        train(finished)
    assert finished.state() is RunState.FINISHED


def test_bf16_checkpointing_and_wandb_work_together(project):
    done = project.train(
        *("--mixed_precision", "bf16", "--gradient_checkpointing", "--log_with", "all", "--max_train_steps", "2"),
        *("--log_config", "--wandb_run_name", "my first run"),
        WANDB_MODE="offline",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = project.newest_run()
    tensors, _ = load_lora(run.checkpoints / "lora.safetensors")
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    logs = Path(run.status().log_folder)
    (wandb_file,) = logs.rglob("*.wandb")
    (shown,) = logs.rglob("hparams.yml")
    logged = wandb_file.read_bytes()
    assert b"my first run" in logged and b"gradient_checkpointing" in logged
    assert "gradient_checkpointing: true" in shown.read_text(encoding="utf-8")
    for secret_to_others in (str(project.folder).encode(), TRANSFORMER.name.encode()):
        assert secret_to_others not in shown.read_bytes()


def test_what_accelerate_config_was_told_for_another_program_does_not_act(project, tmp_path):
    (tmp_path / "accelerate").mkdir()
    (tmp_path / "accelerate" / "default_config.yaml").write_text(
        "compute_environment: LOCAL_MACHINE\ndistributed_type: DEEPSPEED\nnum_processes: 4\nmixed_precision: fp16\n"
        "deepspeed_config: {zero_stage: 3}\nuse_cpu: false\ndebug: false\n",
        encoding="utf-8",
    )
    done = project.train("--max_train_steps", "1", HF_HOME=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_weights_file_of_another_kind_fails_the_run_and_is_named(project, tmp_path):
    other = tmp_path / "other.pt"
    torch.save({"module": {"encoder.conv_in.conv.weight": torch.zeros(2)}}, other)
    done = project.train("--dit", str(other))
    assert done.returncode == 2
    run = project.newest_run()
    assert run.state() is RunState.FAILED and run.status().exit_code == 2
    assert f"{other}: not a HunyuanVideo transformer" in run.status().message
    assert "Traceback" not in run.log_file.read_text(encoding="utf-8")


def test_an_argument_that_the_optimizer_does_not_take_is_told_before_the_model_is_loaded(project):
    assert project.train_forked("--optimizer_args", "momentum=0.9").returncode != 0
    run = project.newest_run()
    assert "adamw does not take {'momentum': 0.9}" in run.status().message
    assert "base:" not in run.log_file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lr_scheduler_type", "Nope"), "lr_scheduler_type is Nope, but there is no such class"),
        (("--lr_scheduler_type", "StepLR"), "StepLR does not take {}"),
        (
            ("--timestep_sampling", "shift", "--discrete_flow_shift", "99", "--max_timestep", "9", *PRESERVE),
            "noise levels drawn, only 0 lie in timesteps 0 to 9",
        ),
        (
            ("--timestep_sampling", "qinglong_flux", "--num_timestep_buckets", "4", "--max_timestep", "9", *PRESERVE),
            "qinglong_flux with num_timestep_buckets and preserve_distribution_shape is not possible",
        ),
    ],
)
def test_a_schedule_or_a_range_that_cannot_be_is_told_before_the_model_is_loaded(project, options, message):
    assert project.train_forked(*options).returncode == 2
    run = project.newest_run()
    assert message in run.status().message
    assert "base:" not in run.log_file.read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no folders, not from root either")
@pytest.mark.parametrize("option", ["output_dir", "logging_dir"])
def test_a_folder_that_the_system_refuses_is_told_before_the_model_is_loaded(project, option):
    assert project.train_forked(f"--{option}", "/proc/nowhere").returncode == 2
    run = project.newest_run()
    assert "/proc/nowhere" in run.status().message and option in run.status().message
    assert "base:" not in run.log_file.read_text(encoding="utf-8")


def test_wrong_input_makes_no_run_and_ends_with_2_and_a_line_for_each_mistake(project):
    before = len(list((project.workspace / "runs").iterdir()))
    done = project.train("--dit", "nowhere.safetensors", "--network_args", "exclude_patterns=[r'((']")
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 2
    assert "nowhere.safetensors: there is no such file" in done.stderr
    assert '"((" is not a regular expression' in done.stderr
    assert len(list((project.workspace / "runs").iterdir())) == before


def test_an_existing_lora_is_not_overwritten(project, tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(b"precious")
    done = project.train("--output_dir", str(tmp_path), "--output_name", "mine")
    assert done.returncode == 2
    assert "mine.safetensors: exists already" in done.stderr
    assert (tmp_path / "mine.safetensors").read_bytes() == b"precious"


def test_timesteps_are_shown_without_a_run(tmp_path, capsys):
    sampling = ("--timestep_sampling", "shift", "--discrete_flow_shift", "7", "--min_timestep", "500")
    shown = ("train", *sampling, "--workspace", str(tmp_path / "w"), "--show_timesteps")
    assert main([*shown, "console"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) == 50
    assert all("#" not in row for row in rows[:25]) and "#" in rows[-1]
    assert main([*shown, "image"]) == 0
    assert capsys.readouterr().out == f"saved {tmp_path / 'w' / 'timesteps.png'}\n"
    assert [path.name for path in (tmp_path / "w").iterdir()] == ["timesteps.png"]


def test_a_training_starts_from_a_lora_with_its_own_ranks_and_another_merged(finished, project, tmp_path):
    start = finished.checkpoints / "küche 1.safetensors"
    done = project.train_forked(
        *("--network_weights", str(start), "--dim_from_weights", "--network_dim", "5", "--max_train_steps", "1"),
        *("--base_weights", str(start), "--base_weights_multiplier", "0.5", "--learning_rate", "1e-9"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = project.newest_run()
    found, _ = load_lora(run.checkpoints / "lora.safetensors")
    expected, _ = load_lora(start)
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-7) for name in found)
    assert f"merged {start}, strength 0.5" in run.log_file.read_text(encoding="utf-8")


def test_start_weights_of_another_rank_name_both_ways_out(finished, project):
    start = finished.checkpoints / "küche 1.safetensors"
    before = project.newest_run().path
    done = project.train("--network_weights", str(start), "--network_dim", "3")
    assert done.returncode == 2 and project.newest_run().path == before
    assert "the LoRA file has rank 2, but network_dim is 3" in done.stderr
    assert "set network_dim to 2, or switch dim_from_weights on" in done.stderr


def test_files_of_an_earlier_training_are_overwritten_only_when_asked(project, tmp_path):
    (tmp_path / "mine-step00000001.safetensors").write_bytes(b"old")
    options = ("--output_dir", str(tmp_path), "--output_name", "mine", "--max_train_steps", "1")
    options = (*options, "--save_every_n_steps", "1")
    assert project.train(*options).returncode == 2
    assert (tmp_path / "mine-step00000001.safetensors").read_bytes() == b"old"
    done = project.train_forked(
        *options, "--overwrite", "--no_metadata", "--metadata_title", "Mine", "--metadata_reso", "640"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    _, metadata = load_lora(tmp_path / "mine-step00000001.safetensors")
    assert metadata["modelspec.title"] == "Mine" and metadata["modelspec.resolution"] == "640x640"
    assert "ss_seed" not in metadata and metadata["ss_network_dim"] == "2"


@pytest.mark.parametrize("option", ["--fp8_base", "--fp8_scaled"])
def test_weights_in_8_bits_train_after_a_lora_is_merged_into_them(finished, project, option):
    merged = finished.checkpoints / "küche 1.safetensors"
    done = project.train_forked(
        option, "--base_weights", str(merged), "--max_train_steps", "2", "--gradient_checkpointing"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tensors, metadata = load_lora(project.newest_run().checkpoints / "lora.safetensors")
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert metadata["ss_fp8_base"] == "True"


@pytest.mark.parametrize(
    "options",
    [
        ("--dynamo_backend", "EAGER"),
        ("--dynamo_backend", "EAGER", "--gradient_checkpointing"),
        ("--gradient_checkpointing", "--gradient_checkpointing_cpu_offload"),
    ],
)
def test_what_saves_time_or_memory_changes_nothing_of_what_is_learned(finished, project, options):
    train = project.train if "--dynamo_backend" in options else project.train_forked  # the launcher tells of compiling
    done = train(*LEARN, *SCHEDULE, *NAMED, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    found, metadata = load_lora(project.newest_run().checkpoints / "küche 1.safetensors")
    expected, _ = load_lora(finished.checkpoints / "küche 1.safetensors")
    assert all((found[name] - expected[name]).norm() <= 1e-4 * expected[name].norm() for name in expected)
    assert metadata["ss_gradient_checkpointing_cpu_offload"] == str("--gradient_checkpointing_cpu_offload" in options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has what is missing here")
def test_what_needs_a_gpu_is_told_before_the_model_is_loaded(project):
    assert project.train_forked("--mixed_precision", "fp16", "--xformers").returncode == 2
    run = project.newest_run()
    log = run.log_file.read_text(encoding="utf-8")
    assert "error: mixed_precision is fp16, which needs a GPU" in log and "error: xformers is on, which needs" in log
    assert "Traceback" not in log and "trainable parameters" not in log


def test_saving_changes_nothing_of_a_schedule_free_training(project, tmp_path):
    """Its files hold another point than the one it trains at; going there and back would round."""
    options = ("--optimizer_type", "adamwschedulefree", "--learning_rate", "1e-2", "--max_train_steps", "4")
    loras = []
    for name, saving in (("often", ("--save_every_n_steps", "1", "--save_state")), ("once", ())):
        done = project.train_forked(*options, *saving, "--output_dir", str(tmp_path), "--output_name", name)
        assert done.returncode == 0, done.stdout + done.stderr
        loras.append(load_lora(tmp_path / f"{name}.safetensors")[0])
    assert all(torch.equal(loras[0][name], loras[1][name]) for name in loras[0])
    state = tmp_path / "often-step00000002-state"
    done = project.train_forked(*options, "--output_dir", str(tmp_path), "--output_name", "on", "--resume", str(state))
    assert done.returncode == 0, done.stdout + done.stderr
    resumed, _ = load_lora(tmp_path / "on.safetensors")
    assert all(torch.equal(loras[0][name], resumed[name]) for name in resumed)


def test_a_model_that_continues_a_picture_is_trained(project, tmp_path):
    """As SkyReels' image-to-video models: the same transformer with 32 input channels."""
    tensors = load_file(TRANSFORMER)
    tensors["img_in.proj.weight"] = tensors["img_in.proj.weight"].repeat(1, 2, 1, 1, 1) / 2
    save_file(tensors, tmp_path / "i2v.safetensors")
    done = project.train_forked(
        *LEARN, "--dit", str(tmp_path / "i2v.safetensors"), "--max_train_steps", "2", "--dit_in_channels", "32"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    refused = project.train("--dit_in_channels", "32")
    assert refused.returncode == 2
    assert "takes 16 channels, but dit_in_channels is 32" in refused.stderr


def test_secrets_reach_nothing_that_a_run_writes(project, tmp_path):
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    secrets = workspace / "secrets.toml"
    secrets.write_text('wandb_api_key = "hunter2hunter2"\nhuggingface_token = "hf_hunter3"\n', encoding="utf-8")
    secrets.chmod(0o600)
    done = project.train(
        *LEARN, "--max_train_steps", "2", "--log_with", "all", "--log_config", "--save_state",
        "--workspace", str(workspace), WANDB_MODE="offline", WANDB_SILENT="true",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    files = [path for path in workspace.rglob("*") if path.is_file() and path != secrets]
    assert any(path.suffix == ".wandb" for path in files) and any(path.suffix == ".safetensors" for path in files)
    assert [path for path in files if b"hunter" in path.read_bytes()] == []
    assert "hunter" not in done.stdout + done.stderr


def test_doubtful_options_are_told_before_the_training_starts(project, tmp_path):
    (tmp_path / "a.safetensors").touch()  # so that it does not start
    done = project.train("--save_last_n_steps", "5", "--output_dir", str(tmp_path), "--output_name", "a")
    assert done.returncode == 2
    assert "warning: save_last_n_steps has no effect: save_every_n_steps is not given" in done.stderr
