"""Secrets come from the environment or from a file that only its owner can read, and are never told."""

import sys

import pytest

from backend.errors import OptionError
from backend.runs.secrets import SECRETS_FILE, load_secrets


def write(folder, text, mode=0o600):
    path = folder / SECRETS_FILE
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def test_without_a_file_nothing_changes(tmp_path):
    environment = {}
    load_secrets(tmp_path, environment)
    assert environment == {}


def test_the_files_secrets_go_into_the_environment(tmp_path):
    write(tmp_path, 'wandb_api_key = "w1"\nhuggingface_token = "h1"\n')
    environment = {}
    load_secrets(tmp_path, environment)
    assert environment == {"WANDB_API_KEY": "w1", "HF_TOKEN": "h1"}


def test_what_the_environment_has_wins(tmp_path):
    write(tmp_path, 'wandb_api_key = "from the file"\n')
    environment = {"WANDB_API_KEY": "from outside"}
    load_secrets(tmp_path, environment)
    assert environment == {"WANDB_API_KEY": "from outside"}


@pytest.mark.skipif(sys.platform == "win32", reason="rights of single files are POSIX's")
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_that_others_can_read_is_refused(tmp_path, mode):
    write(tmp_path, 'wandb_api_key = "w1"\n', mode)
    environment = {}
    with pytest.raises(OptionError, match=r"can be read by other users \(run: chmod 600 secrets.toml\)"):
        load_secrets(tmp_path, environment)
    assert environment == {}


@pytest.mark.parametrize("text", ['wandb_key = "hunter2"\n', "wandb_api_key = 17\n", '[a]\nb = "hunter2"\n'])
def test_anything_else_in_the_file_is_refused_without_telling_it(tmp_path, text):
    write(tmp_path, text)
    with pytest.raises(OptionError, match="no secret that is known") as raised:
        load_secrets(tmp_path, {})
    assert "hunter2" not in str(raised.value) and "17" not in str(raised.value).replace(str(tmp_path), "")
