"""The guide: every command in it runs, with the configuration and dataset file that it shows, on the demo's models."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tomlkit
import torch
from safetensors.torch import load_file

from backend.config.configuration import Configuration
from backend.config.dataset import parse_datasets
from backend.config.sample_prompts import read_prompts

PROJECT = Path(__file__).parents[2]
DEMO = PROJECT / "presets" / "demo"
GUIDES = {"en": PROJECT / "docs" / "guide.md", "ja": PROJECT / "docs" / "guide.ja.md"}

FEWER = {"max_train_steps": 2, "sample_every_n_steps": 2, "save_every_n_steps": 2, "network_dim": 2}
ON_A_CPU = {"mixed_precision": "no", "fp8_scaled": False, "blocks_to_swap": 0, "vae_dtype": "float32"}
SMALL = {**FEWER, **ON_A_CPU, "text_encoder_dtype": "float32", "sample_at_first": False}
"""What is changed in the guide's configuration, as the models of the test are small and there may be no GPU."""

SMALLER_WORDS = {
    "step00002000": "step00000002",
    "3000": "3",
    "a mimi cat on a bicycle --f 25": "a heart --w 64 --h 64 --f 5 --s 2",
}


def blocks(language: str, kind: str) -> list[str]:
    text = GUIDES[language].read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def commands() -> list[str]:
    return [line for block in blocks("en", "sh") for line in block.splitlines()]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A folder as the guide has its reader make it, with small models under the names of the released ones."""
    folder = tmp_path_factory.mktemp("guide")
    models = folder / "models"
    for name, encoder in (("llama", "llava_llama3_fp16"), ("clip", "clip_l")):
        shutil.copytree(DEMO / "models" / name, models / name)
        (models / name / "model.safetensors").rename(models / name / f"{encoder}.safetensors")
    transformer = load_file(DEMO / "models" / "transformer.safetensors")
    torch.save({"module": transformer}, models / "mp_rank_00_model_states.pt")
    torch.save(load_file(DEMO / "models" / "vae.safetensors"), models / "pytorch_model.pt")
    for kind, name in (("pictures", "pictures"), ("clips", "clips")):
        shutil.copytree(DEMO / "hearts" / kind, folder / "data" / name)
    write_files(folder)
    return folder


def write_files(folder: Path) -> None:
    """The files that the guide shows, made small."""
    dataset, configuration = (tomlkit.parse(block) for block in blocks("en", "toml"))
    dataset["general"]["resolution"] = [64, 64]
    dataset["datasets"][1]["target_frames"] = [1, 5]
    configuration.update(SMALL)
    (folder / "dataset.toml").write_text(tomlkit.dumps(dataset), encoding="utf-8")
    (folder / "cat.toml").write_text(tomlkit.dumps(configuration), encoding="utf-8")
    (folder / "prompts.txt").write_text("a red heart --w 64 --h 64 --f 5 --s 2\n", encoding="utf-8")


def test_every_command_of_the_guide_runs_one_after_the_other(project):
    assert len(commands()) >= 10
    for command in commands():
        for word, smaller in SMALLER_WORDS.items():
            command = command.replace(word, smaller)
        program, *arguments = shlex.split(command)
        assert program == "./launch.sh"
        done = run(project, *arguments)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    written = {path.name for path in (project / "output").iterdir()}
    assert {"cat.safetensors", "cat_longer.safetensors", "cat_comfyui.safetensors", "cat_small.safetensors"} <= written
    assert list((project / "compared").glob("*_compared_*.mp4"))


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`./launch.sh ARGUMENTS` in the folder, with this environment's Python."""
    command = [sys.executable, str(PROJECT / "launch.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_configuration_of_the_guide_is_valid_and_its_dataset_file_too():
    dataset, configuration = (tomlkit.parse(block).unwrap() for block in blocks("en", "toml"))
    assert Configuration.from_values(configuration).network.loraplus_lr_ratio == 4
    assert parse_datasets(dataset).warnings == ()


def test_the_prompts_of_the_guide_are_read(tmp_path):
    (text,) = blocks("en", "text")
    (tmp_path / "prompts.txt").write_text(text, encoding="utf-8")
    assert [prompt.frame_count for prompt in read_prompts(tmp_path / "prompts.txt")] == [25, 25, 25]


@pytest.mark.parametrize("kind", ["sh", "toml", "text"])
def test_the_guide_shows_the_same_commands_and_files_in_every_language(kind):
    assert blocks("ja", kind) == blocks("en", kind)


def test_the_guide_has_the_same_sections_and_tables_in_every_language():
    def shape(language: str) -> list[str]:
        lines = GUIDES[language].read_text(encoding="utf-8").splitlines()
        return [line.split()[0] + str(line.count("|")) for line in lines if line.startswith(("#", "|"))]

    assert shape("ja") == shape("en")
