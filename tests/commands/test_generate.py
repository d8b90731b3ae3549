"""`python -m backend generate`: prompts, LoRAs at several strengths, what is written."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from backend.__main__ import main
from backend.visual_files import TITLE_PIXELS, read_description, read_frames
from tests.commands.tiny_project import TRANSFORMER
from tests.models.tiny_text_models import write_clip_folder, write_llama_folder

GOLDEN = Path(__file__).parents[1] / "golden"
LORA = GOLDEN / "lora_default.safetensors"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [
        *("--dit", str(TRANSFORMER), "--vae", str(GOLDEN / "vae_model.safetensors"), "--vae_dtype", "float32"),
        *("--text_encoder1", str(write_llama_folder(folder / "llama")), "--text_encoder_dtype", "float32"),
        *("--text_encoder2", str(write_clip_folder(folder / "clip")), "--mixed_precision", "no", "--device", "cpu"),
    ]


@pytest.fixture
def generate(models, tmp_path):
    def run(*arguments):
        code = main(["generate", *models, "--save_path", str(tmp_path / "out"), *arguments])
        return code, sorted((tmp_path / "out").rglob("*.*"))

    return run


def test_a_prompt_becomes_a_clip_that_tells_how_it_was_made(generate):
    code, (path,) = generate(
        "--prompt",
        "a cat --w 32",
        "--video_size",
        "48",
        "64",
        "--video_length",
        "5",
        "--infer_steps",
        "2",
        "--seed",
        "5",
    )
    assert code == 0 and path.name.startswith("sample_x1_00_") and path.name.endswith("_5.mp4")
    assert read_frames(path).shape == (5, 48, 32, 3)  # what the prompt says holds, the flags fill in the rest
    assert read_description(path)["parameters"] == "a cat --w 32 --h 48 --f 5 --d 5 --s 2"


def test_strengths_are_shown_side_by_side_with_the_same_noise(generate):
    code, paths = generate(
        "--prompt", "a cat --w 32 --h 32 --s 2 --d 1", "--lora_weight", str(LORA), "--strengths", "0", "1", "2"
    )
    assert code == 0
    found = {path.name.split("_")[1]: read_frames(path)[0].astype(int) for path in paths}
    assert found.keys() == {"x0", "x1", "x2", "compared"}
    assert np.array_equal(
        found["compared"][TITLE_PIXELS:], np.concatenate([found["x0"], found["x1"], found["x2"]], axis=1)
    )
    assert np.abs(found["x0"] - found["x1"]).max() > 0 and np.abs(found["x1"] - found["x2"]).max() > 0


def test_a_multiplier_and_a_strength_are_multiplied(generate):
    prompt = ("--prompt", "a cat --w 32 --h 32 --s 2 --d 1", "--lora_weight", str(LORA))
    generate(*prompt, "--lora_multiplier", "0.5", "--name", "half")
    _, paths = generate(*prompt, "--strengths", "0.5", "--name", "strength")
    half, strength = (
        read_frames(next(path for path in paths if path.name.startswith(name))) for name in ("half", "strength")
    )
    assert np.array_equal(half, strength)


def test_latents_are_written_as_musubi_tuner_does(generate):
    _, (path,) = generate("--prompt", "a cat --w 32 --h 48 --f 5 --s 2 --d 3", "--output_type", "latent")
    latent = load_file(path)["latent"]
    assert latent.shape == (1, 16, 2, 6, 4) and latent.dtype == torch.float32
    with safe_open(path, "pt") as file:
        assert file.metadata()["seed"] == "3"


def test_frames_can_be_pictures(generate):
    _, paths = generate("--prompt", "a cat --w 32 --h 32 --f 5 --s 2", "--output_type", "images")
    assert [path.suffix for path in paths] == [".png"] * 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is no prompt"),
        (("--prompt", "a --w 33"), "--prompt: width is '33'"),
        (("--prompt", "a", "--video_size", "33", "32"), "height is 33"),
        (("--prompt", "a", "--lora_multiplier", "1"), "--lora_multiplier has 1 numbers for 0 files"),
        (("--prompt", "a", "--lora_weight", "gone.safetensors"), "gone.safetensors: there is no such file"),
        (("--prompt", "a", "--lora_weight", str(LORA), "--strengths", "inf"), "--strengths: is inf, but a number"),
        (("--prompt", "a", "--name", "a/b"), "--name is 'a/b'"),
        (
            (
                "--prompt",
                "a --i gone.png",
            ),
            "gone.png: there is no such picture",
        ),
        (("--prompt", "a", "--vae", str(TRANSFORMER)), "this seems to be: HunyuanVideo transformer"),
    ],
)
def test_mistakes_are_told(generate, capsys, arguments, message):
    code, paths = generate(*arguments)
    assert code == 2 and paths == []
    assert message in capsys.readouterr().err


def test_everything_that_is_missing_is_told_at_once_before_anything_is_loaded(capsys):
    assert main(["generate", "--prompt", "a", "--lora_weight", "gone.safetensors"]) == 2
    errors = capsys.readouterr().err
    for message in (
        "no transformer is chosen",
        "(vae) is not",
        "(text_encoder1) is not",
        "(text_encoder2) is not",
        "gone",
    ):
        assert message in errors


def test_a_strength_that_is_named_twice_is_made_once(generate):
    prompt = ("--prompt", "a cat --w 32 --h 32 --s 1", "--lora_weight", str(LORA))
    code, paths = generate(*prompt, "--strengths", "1", "1.0")
    assert code == 0 and len(paths) == 1
