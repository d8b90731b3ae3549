"""Presets hold some options; loading one changes those."""

import pytest

from backend.config.configuration import Configuration
from backend.config.presets import find_preset, list_presets, read_preset, read_title, save_preset
from backend.config.toml_file import read_configuration
from backend.errors import OptionError


def write_preset(workspace, name, text):
    (workspace / "presets").mkdir(exist_ok=True)
    (workspace / "presets" / f"{name}.toml").write_text(text, encoding="utf-8")
    return find_preset(name, workspace=workspace)


def test_a_preset_changes_only_what_it_holds(tmp_path):
    preset = write_preset(tmp_path, "some", "[network]\nnetwork_dim = 4\nnetwork_args = ['loraplus_lr_ratio=4']\n")
    assert read_preset(preset, workspace=tmp_path) == {"network_dim": 4, "loraplus_lr_ratio": 4.0}


def test_a_preset_need_not_make_sense_alone(tmp_path):
    preset = write_preset(tmp_path, "warm", "lr_warmup_steps = 100\n")
    assert read_preset(preset, workspace=tmp_path) == {"lr_warmup_steps": 100}


def test_a_saved_form_is_given_back_whole_with_what_was_empty(tmp_path):
    configuration = Configuration.from_values({"network_dim": 6, "include_patterns": [r".*\d+=画"], "verbose": True})
    preset = save_preset("my preset", configuration.values(), workspace=tmp_path)
    assert read_preset(preset, workspace=tmp_path) == configuration.values()


def test_a_saved_preset_is_a_configuration_file_too(tmp_path):
    configuration = Configuration.from_values({"network_dim": 6, "exclude_patterns": ["a"]})
    preset = save_preset("mine", configuration.values(), workspace=tmp_path)
    assert read_configuration(preset.path) == configuration


def test_saving_again_replaces(tmp_path):
    save_preset("mine", {"network_dim": 6}, workspace=tmp_path)
    preset = save_preset(" mine ", {"network_dim": 7}, workspace=tmp_path)
    assert read_preset(preset, workspace=tmp_path) == {"network_dim": 7}
    assert len(list((tmp_path / "presets").iterdir())) == 1


@pytest.mark.parametrize(
    "name", ["", "  ", ".", "..", "../evil", "a/b", "a\\b", "C:x", "a.", "what?", "new\nline", ".hidden", "x" * 200]
)
def test_a_name_that_is_no_file_name_everywhere_is_refused(tmp_path, name):
    with pytest.raises(OptionError, match="a preset cannot be called"):
        save_preset(name, {}, workspace=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["v1.0", "日本語", "a b-c_d", "x"])
def test_ordinary_names_are_taken(tmp_path, name):
    assert save_preset(name, {"seed": 1}, workspace=tmp_path).path.is_file()


def test_a_shipped_preset_is_not_written_over(tmp_path):
    shipped = next(preset for preset in list_presets(tmp_path) if preset.shipped)
    with pytest.raises(OptionError, match="is a shipped preset"):
        save_preset(shipped.name.upper(), {}, workspace=tmp_path)


def test_all_shipped_presets_are_right_and_have_a_title(tmp_path):
    for preset in list_presets(tmp_path):
        assert preset.shipped
        assert Configuration.from_values(read_preset(preset, workspace=tmp_path))
        assert all(read_title(preset))


def test_shipped_presets_point_into_the_workspace(tmp_path):
    values = read_preset(find_preset("demo", workspace=tmp_path), workspace=tmp_path)
    assert values["dit"].startswith(tmp_path.as_posix() + "/")


def test_the_users_presets_follow_the_shipped_ones(tmp_path):
    save_preset("abc", {}, workspace=tmp_path)
    presets = list_presets(tmp_path)
    assert [preset.shipped for preset in presets] == sorted((preset.shipped for preset in presets), reverse=True)
    assert presets[-1].name == "abc" and read_title(presets[-1]) == ("abc", "")


def test_every_mistake_in_a_preset_is_told_with_the_files_name(tmp_path):
    preset = write_preset(tmp_path, "bad", "network_dim = 0\nnonsense = 1\nnetwork_args = ['a=1', 'b']\n")
    with pytest.raises(OptionError) as raised:
        read_preset(preset, workspace=tmp_path)
    assert len(raised.value.problems) == 4
    assert all(problem.message.startswith("bad.toml: ") for problem in raised.value.problems)


def test_a_preset_that_is_not_there_is_told(tmp_path):
    with pytest.raises(OptionError, match="there is no preset 'absent'"):
        find_preset("absent", workspace=tmp_path)
