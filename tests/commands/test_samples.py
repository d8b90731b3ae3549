"""Samples while training: when, what, and that they change nothing."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from backend.errors import StoppedByUser
from backend.networks.files import load_lora
from backend.runs.folder import RunState
from backend.visual_files import read_description, read_frames
from tests.commands.tiny_project import make_project, wait_for_step
from tests.models.tiny_text_models import write_clip_folder, write_llama_folder

VAE = Path(__file__).parents[1] / "golden" / "vae_model.safetensors"
PROMPTS = (
    "a cat walks --w 32 --h 48 --f 6 --d 11 --s 2 --g 5\n# no prompt\nI sky --w 32 --h 32 --s 3 --n rocket --l 2\n"
)
TRAINING = (
    *("--learning_rate", "1e-2", "--network_alpha", "2", "--max_train_epochs", "2", "--network_dropout", "0.3"),
    *("--network_args", "module_dropout=0.2", "rank_dropout=0.2"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    write_llama_folder(folder / "llama")
    write_clip_folder(folder / "clip")
    (folder / "prompts.txt").write_text(PROMPTS, encoding="utf-8")
    return make_project(folder)


def sampling(project):
    return (
        *("--sample_prompts", str(project.folder / "prompts.txt"), "--vae", str(VAE), "--vae_dtype", "float32"),
        *("--text_encoder1", str(project.folder / "llama"), "--text_encoder2", str(project.folder / "clip")),
        *("--text_encoder_dtype", "float32"),
    )


@pytest.fixture(scope="module")
def sampled(project):
    """3 steps an epoch: samples before the first step, after steps 2 and 4, after epochs 1 and 2."""
    done = project.train(
        *TRAINING, *sampling(project), "--sample_at_first", "--sample_every_n_steps", "2",
        "--sample_every_n_epochs", "1", "--output_name", "s",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return project.newest_run()


def labels_of(run, *, name="s"):
    files = [path.name for path in sorted(run.samples.iterdir())]
    found = [re.fullmatch(rf"{name}_(e?\d{{6}})_(\d\d)_\d{{14}}_(\d+)\.(mp4|png)", file) for file in files]
    assert all(found), files
    return [match.groups() for match in found]


def test_samples_are_made_when_they_are_due_and_once_where_steps_and_epochs_meet(sampled):
    assert sorted({label for label, *_ in labels_of(sampled)}) == ["000002", "000004", "000006", "e000000", "e000001"]


def test_each_prompt_has_its_file_with_its_seed(sampled):
    prompts = {(index, seed, ending) for _, index, seed, ending in labels_of(sampled)}
    assert prompts == {("00", "11", "mp4"), ("01", "8", "png")}  # the second has none: the training's, 7, and its place


def test_a_file_has_the_frames_that_were_asked_for_and_tells_how_it_was_made(sampled):
    clip = next(sampled.samples.glob("s_000002_00_*.mp4"))
    assert read_frames(clip).shape == (5, 48, 32, 3)
    description = read_description(clip)
    assert description["prompt"] == "a cat walks" and description["step"] == "2" and description["lora"] == "s"
    assert description["parameters"] == "a cat walks --w 32 --h 48 --f 6 --d 11 --s 2 --g 5.0"
    picture = next(sampled.samples.glob("s_000002_01_*.png"))
    assert read_description(picture)["prompt"] == "I sky"


def test_what_was_learned_shows(sampled):
    first, last = (read_frames(next(sampled.samples.glob(f"s_{label}_01_*.png"))) for label in ("e000000", "000006"))
    assert np.abs(first.astype(int) - last).max() > 0


def test_sampling_changes_nothing_of_the_training(project, sampled):
    done = project.train_forked(*TRAINING, "--output_name", "s")
    assert done.returncode == 0, done.stdout + done.stderr
    without = load_lora(project.newest_run().checkpoints / "s.safetensors")[0]
    found = load_lora(sampled.checkpoints / "s.safetensors")[0]
    assert all(torch.equal(found[name], tensor) for name, tensor in without.items())


def test_samples_do_not_depend_on_dropout(project, sampled):
    """The last sample of a training is what its LoRA file gives, without any dropout."""
    done = project.train_forked(
        *("--network_alpha", "2", "--sample_at_first", "--output_name", "t", *sampling(project)),
        *("--network_weights", str(sampled.checkpoints / "s.safetensors"), "--max_train_steps", "1"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    again = read_frames(next(project.newest_run().samples.glob("t_e000000_01_*.png")))
    last = read_frames(next(sampled.samples.glob("s_000006_01_*.png")))
    assert np.abs(again.astype(int) - last).max() <= 1  # seeds are the same: 7 and the place


def test_tensorboard_shows_them(sampled):
    events = EventAccumulator(str(Path(sampled.status().log_folder) / "network_train"), size_guidance={"images": 0})
    events.Reload()
    assert events.Tags()["images"] == ["sample/00", "sample/01"]
    shown = events.Images("sample/00")
    assert [image.step for image in shown] == [0, 2, 3, 4, 6]
    assert shown[0].encoded_image_string.startswith(b"GIF89a")


def test_a_mistake_in_the_prompts_is_told_before_anything_is_loaded(project, tmp_path):
    (tmp_path / "p.txt").write_text("a cat --w 33\n", encoding="utf-8")
    done = project.train(*TRAINING, *sampling(project), "--sample_prompts", str(tmp_path / "p.txt"))
    assert done.returncode == 2
    assert "p.txt, line 1: width is '33' (wanted a whole number, at least 16, a multiple of 16)" in done.stderr


def test_wandb_gets_them_too(project):
    done = project.train_forked(
        *TRAINING, *sampling(project), "--sample_at_first", "--max_train_epochs", "1", "--log_with", "wandb",
        WANDB_MODE="offline", WANDB_SILENT="true",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    media = Path(project.newest_run().status().log_folder) / "wandb" / "latest-run" / "files" / "media"
    assert sorted(path.suffix for path in media.rglob("*") if path.is_file()) == [".mp4", ".png"]


def test_two_processes_share_the_prompts_and_leave_the_training_as_it_is(project):
    two = (*TRAINING, "--num_processes", "2", "--output_name", "s")
    done = project.train(*two, *sampling(project), "--sample_every_n_steps", "1", "--log_with", "tensorboard")
    assert done.returncode == 0, done.stdout + done.stderr
    sampled = project.newest_run()
    assert {(label, index) for label, index, *_ in labels_of(sampled)} == {
        (f"{step:06d}", index) for step in range(1, sampled.status().total_steps + 1) for index in ("00", "01")
    }
    assert sampled.log_file.read_text(encoding="utf-8").count("sample ") == len(labels_of(sampled))
    without = project.train(*two)
    assert without.returncode == 0, without.stdout + without.stderr
    expected = load_lora(project.newest_run().checkpoints / "s.safetensors")[0]
    found = load_lora(sampled.checkpoints / "s.safetensors")[0]
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def stop(run, trainer):
    run.request("stop")
    trainer.join()
    assert trainer.exitcode == StoppedByUser.exit_code, run.log_file.read_text(encoding="utf-8")


def test_samples_can_be_asked_for_at_any_time(project):
    trainer = project.start_forked(
        *TRAINING, *sampling(project), *("--max_train_epochs", "100000", "--sample_every_n_steps", "999999"),
        "--output_name", "asked",
    )  # fmt: skip
    run = wait_for_step(project, 2, output_name="asked")
    run.request("sample")
    while run.has_request("sample") or not run.samples.is_dir() or len(list(run.samples.glob("asked_*"))) < 2:
        assert trainer.is_alive(), run.log_file.read_text(encoding="utf-8")
        time.sleep(0.1)
    stop(run, trainer)
    assert len({label for label, *_ in labels_of(run, name="asked")}) == 1
    assert run.state() is RunState.STOPPED


def test_a_training_without_prompts_says_that_it_cannot_sample(project):
    trainer = project.start_forked(*TRAINING, "--max_train_epochs", "100000", "--output_name", "without")
    run = wait_for_step(project, 2, output_name="without")
    run.request("sample")
    while run.has_request("sample"):
        assert trainer.is_alive()
        time.sleep(0.05)
    stop(run, trainer)
    assert "warning: samples were asked for, but" in run.log_file.read_text(encoding="utf-8")
    assert not run.samples.exists() and run.state() is RunState.STOPPED


def test_a_stop_ends_sampling_and_saves(project, tmp_path):
    endless = tmp_path / "endless.txt"
    endless.write_text("a cat --w 64 --h 64 --s 1000\n" * 50, encoding="utf-8")
    trainer = project.start_forked(
        *TRAINING, *sampling(project), *("--sample_prompts", str(endless), "--sample_every_n_steps", "1"),
        "--output_name", "endless",
    )  # fmt: skip
    run = wait_for_step(project, 1, output_name="endless")
    while run.status().phase != "sampling":
        time.sleep(0.05)
    stop(run, trainer)
    assert run.state() is RunState.STOPPED
    assert any(path.name.endswith("-state") for path in run.checkpoints.iterdir())
