"""The two caching commands, as they are called."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from backend.__main__ import main
from backend.config.dataset import read_dataset_file
from backend.dataset.cached import find_cached_items
from tests import forked
from tests.caching.small_dataset import write_dataset
from tests.models.tiny_text_models import write_clip_folder, write_llama_folder

VAE = str(Path(__file__).parents[1] / "golden" / "vae_model.safetensors")


@pytest.fixture
def config(tmp_path) -> Path:
    return write_dataset(tmp_path)


@pytest.fixture
def latent_arguments(config) -> list[str]:
    return ["cache_latents", "--dataset_config", str(config), "--vae", VAE, "--vae_dtype", "float32", "--device", "cpu"]


@pytest.fixture
def text_arguments(config, tmp_path) -> list[str]:
    encoders = write_llama_folder(tmp_path / "llama"), write_clip_folder(tmp_path / "clip")
    command = ["cache_text_encoder_outputs", "--dataset_config", str(config), "--text_encoder_dtype", "float32"]
    return [*command, "--text_encoder1", str(encoders[0]), "--text_encoder2", str(encoders[1]), "--device", "cpu"]


def test_both_commands_make_all_that_training_needs(config, latent_arguments, text_arguments):
    assert main(latent_arguments) == 0
    assert main(text_arguments) == 0
    found = [find_cached_items(dataset) for dataset in read_dataset_file(config).datasets]
    assert [len(items) for items, _ in found] == [2, 10]
    assert [problems for _, problems in found] == [[], []]


def test_a_second_run_has_nothing_to_do(config, latent_arguments, text_arguments, capsys):
    for arguments in (latent_arguments, text_arguments):
        main(arguments)
        assert "to encode, those that are there already anew" in capsys.readouterr().out
        before = {path: path.stat().st_mtime_ns for path in config.parent.glob("cache_*/*")}
        assert main([*arguments, "--skip_existing"]) == 0
        assert re.search(": 0 to encode, [1-9]", capsys.readouterr().out)
        assert {path: path.stat().st_mtime_ns for path in config.parent.glob("cache_*/*")} == before


def test_a_damaged_picture_is_a_warning_and_the_rest_is_cached(config, latent_arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LORALOOM_RUN", str(tmp_path / "run"))
    picture = config.parent / "media" / "tall.png"
    picture.write_bytes(picture.read_bytes()[:2000])
    for _ in range(2):  # the second time there is nothing left to do
        assert main([*latent_arguments, "--skip_existing"]) == 0
        assert "warning: " in (told := capsys.readouterr().err) and "tall.png" in told
        status = json.loads((tmp_path / "run" / "status.json").read_text())
        assert (status["outcome"], status["message"]) == ("finished", "1 of 12 items could not be cached, see the log")
    assert len(list(config.parent.glob("cache_*/*"))) == 11


def test_pictures_that_break_only_while_they_are_read_are_warnings_too(config, latent_arguments, capsys):
    picture = config.parent / "media" / "tall.png"
    content = io.BytesIO()
    Image.open(picture).save(content, "JPEG")
    picture.write_bytes(content.getvalue()[:1500])  # the size can be read, the pixels cannot
    for _ in range(2):
        assert main([*latent_arguments, "--skip_existing"]) == 0
        assert "tall.png: not a readable picture" in capsys.readouterr().err
    assert len(list(config.parent.glob("cache_*/*"))) == 11


def test_if_nothing_can_be_cached_the_exit_code_is_1(config, latent_arguments, capsys):
    for path in (config.parent / "media").glob("*.[pm][np][g4]"):
        path.write_bytes(b"broken")
    assert main(latent_arguments) == 1
    assert capsys.readouterr().err.count("error: ") == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--vae", "missing.safetensors"], "missing.safetensors does not exist"),
        (["--vae", ""], "(vae) is not given"),
        (["--device", "cuda:77"], "cuda:77 cannot be used"),
        (["--dataset_config", "missing.toml"], "missing.toml does not exist"),
    ],
)
def test_wrong_input_gives_exit_code_2(latent_arguments, change, message, capsys):
    assert main([*latent_arguments, *change]) == 2
    assert message in capsys.readouterr().err


def test_a_model_of_another_kind_is_told_before_anything_is_loaded(latent_arguments, text_arguments, capsys):
    vae = latent_arguments[latent_arguments.index("--vae") + 1]
    assert main([*text_arguments, "--text_encoder1", vae]) == 2
    assert "this seems to be: HunyuanVideo VAE (wanted: Llama text encoder)" in capsys.readouterr().err
    assert main([*latent_arguments, "--vae", str(Path(vae).with_name("dit_model.safetensors"))]) == 2
    assert "this seems to be: HunyuanVideo transformer (wanted: HunyuanVideo VAE)" in capsys.readouterr().err


def test_an_empty_folder_is_an_error(tmp_path, latent_arguments, text_arguments, capsys):
    (tmp_path / "nothing").mkdir()
    (tmp_path / "empty.toml").write_text(f"[[datasets]]\nimage_directory = '{tmp_path / 'nothing'}'\n")
    for arguments in (latent_arguments, text_arguments):
        assert main([*arguments, "--dataset_config", str(tmp_path / "empty.toml")]) == 2
        assert "no pictures and no clips" in capsys.readouterr().err


def test_a_run_folder_learns_of_progress_and_outcome(latent_arguments, tmp_path):
    run = tmp_path / "run"
    ended = forked.run("-m", "backend", *latent_arguments, environment={"LORALOOM_RUN": str(run)})
    assert ended.returncode == 0, ended.stderr
    status = json.loads((run / "status.json").read_text())
    assert (status["outcome"], status["step"], status["total_steps"]) == ("finished", 12, 12)


def test_a_stop_request_ends_the_work_after_a_batch(config, latent_arguments, tmp_path):
    run = tmp_path / "run"
    (run / "requests").mkdir(parents=True)
    (run / "requests" / "stop").touch()
    ended = forked.run("-m", "backend", *latent_arguments, environment={"LORALOOM_RUN": str(run)})
    assert ended.returncode == 130
    assert json.loads((run / "status.json").read_text())["outcome"] == "stopped"
    assert len(list(config.parent.glob("cache_*/*"))) == 1


def test_the_format_of_caches_is_read_without_the_model_libraries():
    code = "import sys, backend.caching.files; sys.exit(bool({'diffusers', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_debug_mode_shows_what_would_be_encoded_and_caches_nothing(tmp_path, capsys):
    config = write_dataset(tmp_path)
    assert (
        main(["cache_latents", "--dataset_config", str(config), "--debug_mode", "image", "--console_num_images", "1"])
        == 0
    )
    shown = capsys.readouterr().out.splitlines()
    assert [Path(line).parent.name for line in shown] == ["preview", "preview"]
    assert all(Path(line).is_file() for line in shown)
    assert list(tmp_path.glob("cache_*/*.safetensors")) == []
