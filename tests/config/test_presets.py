"""Presets hold some options; loading one changes those."""

import pytest

from backend.config.configuration import Configuration
from backend.config.presets import (
    SHIPPED,
    delete_preset,
    find_preset,
    list_presets,
    read_preset,
    read_title,
    rename_preset,
    restore_preset,
    save_preset,
)
from backend.config.schema import MemoryOptions
from backend.config.toml_file import read_configuration
from backend.errors import OptionError
from backend.plan.activations import Tokens
from backend.plan.memory import forecast_memory
from backend.plan.modules import TransformerShape, block_linears
from backend.plan.network import plan_network


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


LIMITS = {"gpu_12gb": (12, 33, 8), "gpu_16gb": (16, 45, 8), "gpu_24gb": (24, 61, 8), "gpu_48gb": (48, 61, 0)}
"""Of each preset for a size of GPU its GiB, the longest clip that it promises, at 960 x 544, and GiB of CPU memory."""


def shipped(tmp_path, name):
    return find_preset(name, workspace=tmp_path)


@pytest.mark.parametrize("name", [path.stem for path in SHIPPED.glob("*.toml")])
def test_a_shipped_preset_speaks_both_languages_and_makes_a_configuration(name, tmp_path):
    preset = shipped(tmp_path, name)
    english, japanese = read_title(preset), read_title(preset, language="ja")
    for text, translated in zip(english, japanese, strict=True):
        assert text and translated and text != translated
    values = read_preset(preset, workspace=tmp_path)
    if name == "continue_a_lora":
        values["network_weights"] = "named by the user.safetensors"
    assert Configuration.from_values(values)


@pytest.mark.parametrize(("name", "limits"), LIMITS.items())
def test_the_forecast_for_a_gpus_preset_fits_it_with_the_longest_clip(name, limits, tmp_path):
    gibibytes, frames, in_cpu_memory = limits
    configuration = Configuration.from_values(read_preset(shipped(tmp_path, name), workspace=tmp_path))
    shape = TransformerShape.full_size()
    latent_frames = (frames - 1) // 4 + 1
    forecast = forecast_memory(
        configuration.memory,
        shape=shape,
        sizes=plan_network(configuration.network, block_linears(shape)).sizes,
        tokens=Tokens(latent_frames * (544 // 16) * (960 // 16), 256),
        optimizer=configuration.optimizer.optimizer_type,
    )
    assert 0.8 * gibibytes < forecast.total / 2**30 < 0.95 * gibibytes  # a screen and drivers take some, too
    assert in_cpu_memory <= forecast.in_cpu_memory / 2**30 <= 2 * in_cpu_memory
    told = read_title(shipped(tmp_path, name))[1]
    assert f"up to {frames} frames at 960 x 544" in told


def test_the_presets_for_gpus_set_the_same_options_of_memory(tmp_path):
    held = [read_preset(shipped(tmp_path, name), workspace=tmp_path).keys() for name in LIMITS]
    assert all(
        names & MemoryOptions.model_fields.keys() == held[0] & MemoryOptions.model_fields.keys() for names in held
    )


def test_a_preset_is_renamed_deleted_and_brought_back(tmp_path):
    save_preset("mine", {"network_dim": 8}, workspace=tmp_path)
    assert rename_preset("mine", " ours ", workspace=tmp_path).name == "ours"
    delete_preset("ours", workspace=tmp_path)
    assert [preset.name for preset in list_presets(tmp_path) if not preset.shipped] == []
    back = restore_preset("ours", workspace=tmp_path)
    assert read_preset(back, workspace=tmp_path)["network_dim"] == 8
    with pytest.raises(OptionError, match="no deleted preset 'ours'"):
        restore_preset("ours", workspace=tmp_path)


def test_a_name_that_is_taken_is_refused(tmp_path):
    for name in ("one", "two"):
        save_preset(name, {"network_dim": 8}, workspace=tmp_path)
    with pytest.raises(OptionError, match="there is a preset TWO already"):
        rename_preset("one", "TWO", workspace=tmp_path)
    with pytest.raises(OptionError, match="is a shipped preset"):
        rename_preset("one", "demo", workspace=tmp_path)
    delete_preset("one", workspace=tmp_path)
    save_preset("one", {"network_dim": 4}, workspace=tmp_path)
    with pytest.raises(OptionError, match="there is a preset one again"):
        restore_preset("one", workspace=tmp_path)


@pytest.mark.parametrize(
    "change", [delete_preset, lambda name, workspace: rename_preset(name, "x", workspace=workspace)]
)
def test_shipped_presets_stay(change, tmp_path):
    with pytest.raises(OptionError, match="demo is a shipped preset"):
        change("demo", workspace=tmp_path)


def test_no_path_gets_out_of_the_folder_of_deleted_presets(tmp_path):
    with pytest.raises(OptionError, match="no deleted preset"):
        restore_preset("../../elsewhere", workspace=tmp_path)


def test_a_preset_may_hold_what_changes_nothing_here(tmp_path):
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "old.toml").write_text("keep_cache = true\nnetwork_dim = 8\n", encoding="utf-8")
    assert read_preset(find_preset("old", workspace=tmp_path), workspace=tmp_path) == {"network_dim": 8}
