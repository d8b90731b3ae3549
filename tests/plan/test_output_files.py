"""Names of what a training saves, what of it is there already, and whether it can be written."""

import os
import sys

import pytest

from backend.errors import OptionError
from backend.plan.output_files import (
    check_folder,
    continues_there,
    epoch_file,
    existing_outputs,
    final_file,
    state_folder,
    step_file,
)

OURS = ["a-000002-state", "a-000002.safetensors", "a-state", "a-step00000100.safetensors", "a.safetensors"]


def test_names_are_those_of_musubi_tuner():
    assert (step_file("a", 100), epoch_file("a", 2), final_file("a")) == (OURS[3], OURS[1], OURS[4])
    assert (state_folder(epoch_file("a", 2)), state_folder(final_file("a"))) == (OURS[0], OURS[2])


def test_what_a_training_could_write_over_is_found_and_nothing_else(tmp_path):
    for name in (*OURS, "ab.safetensors", "a-2.safetensors", "a-step1.safetensors", "a.txt", "xa.safetensors"):
        (tmp_path / name).mkdir() if name.endswith("state") else (tmp_path / name).touch()
    assert existing_outputs(tmp_path, "a") == [tmp_path / name for name in OURS]
    assert existing_outputs(tmp_path, "b[1]") == [] and existing_outputs(tmp_path / "none", "a") == []


def test_a_state_of_the_same_name_and_folder_is_gone_on_with(tmp_path):
    (tmp_path / "a-step00000004-state").mkdir()
    (tmp_path / "other-state").mkdir()
    assert continues_there(str(tmp_path / "a-step00000004-state"), tmp_path, "a")
    assert not continues_there(str(tmp_path / "other-state"), tmp_path, "a")
    assert not continues_there(str(tmp_path / "a-step00000004-state"), tmp_path / "elsewhere", "a")
    assert not continues_there(None, tmp_path, "a")


def test_a_folder_that_can_be_made_is_no_problem(tmp_path):
    check_folder(tmp_path / "new" / "folder", option="output_dir")
    check_folder(tmp_path, option="output_dir")


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match=r"file is a file, and a folder is wanted \(choose another output_dir"):
        check_folder(tmp_path / "file" / "inner", option="output_dir")


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="rights of folders hold on POSIX, and not for root"
)
def test_a_folder_without_the_right_to_write_is_told(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OptionError, match="nothing can be written into"):
            check_folder(tmp_path / "inner", option="logging_dir")
    finally:
        tmp_path.chmod(0o700)
