"""`python -m backend`: exit codes, and one line for each mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from backend.__main__ import COMMANDS

PROJECT = Path(__file__).parents[1]


def run(*arguments):
    command = [sys.executable, "-m", "backend", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, encoding="utf-8")


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_without_a_command_all_commands_are_listed(arguments):
    ended = run(*arguments)
    assert ended.returncode == 0 and ended.stderr == ""
    assert all(name in ended.stdout for name in COMMANDS)


def test_an_unknown_command_is_refused_with_the_known_ones():
    ended = run("trian")
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr.startswith("error: there is no command trian (known are train, ")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_its_options(command):
    ended = run(command, "--help")
    assert ended.returncode == 0, ended.stderr
    assert f"python -m backend {command}" in ended.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_unknown_options_with_exit_code_2(command, tmp_path):
    ended = run(command, "--nonsense", "1")
    assert ended.returncode == 2
    assert "nonsense" in ended.stderr and "Traceback" not in ended.stderr


def test_wrong_input_gives_exit_code_2_and_one_line_for_each_mistake(tmp_path):
    (tmp_path / "run.toml").write_text("network_dim = 0\nlearning_rat = 1\n", encoding="utf-8")
    ended = run("train", "--config_file", str(tmp_path / "run.toml"), "--workspace", str(tmp_path / "w"), "--seed", "x")
    assert ended.returncode == 2 and ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 3
    assert all(line.startswith("error: ") for line in ended.stderr.splitlines())
    assert not (tmp_path / "w").exists()


def test_a_training_that_cannot_start_makes_no_run_folder(tmp_path):
    ended = run("train", "--dit", str(tmp_path / "漢字.safetensors"), "--workspace", str(tmp_path / "w"))
    assert ended.returncode == 2
    assert "漢字.safetensors: there is no such file" in ended.stderr
    assert "no dataset is chosen" in ended.stderr
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("command", ["queue", "demo"])
def test_a_workspace_that_cannot_be_made_is_one_line_and_exit_code_1(command, tmp_path):
    (tmp_path / "file").touch()
    ended = run(command, "--workspace", str(tmp_path / "file" / "workspace"))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ") and "file" in line and "check the path" in line
