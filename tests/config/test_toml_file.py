"""Configuration files: reading whatever musubi-tuner reads, writing what both read alike."""

import re
import sys

import pytest
import toml
import tomlkit
from hypothesis import assume, given

from backend.config.configuration import Configuration, expand_network_args
from backend.config.toml_file import flatten, format_toml, parse_toml, read_configuration, write_configuration
from backend.errors import OptionError
from tests.config.configurations import some_values

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def configuration_of(values):
    return Configuration.from_values({"lr_scheduler": "linear", **values})


def formatted(configuration):
    try:
        return format_toml(configuration.values())
    except OptionError as error:
        assume("musubi-tuner's TOML parser cannot read" not in str(error))
        raise


@given(some_values)
def test_a_configuration_comes_back_as_it_was(values):
    configuration = configuration_of(values)
    assert Configuration.from_values(flatten(parse_toml(formatted(configuration)))) == configuration


@given(some_values)
def test_the_package_that_musubi_tuner_reads_with_gives_the_same_values(values):
    text = formatted(configuration_of(values))
    assert toml.loads(text) == tomllib.loads(text)


def test_a_file_is_written_in_sections_with_a_comment_at_each_option(tmp_path):
    configuration = Configuration.from_values(
        {"loraplus_lr_ratio": 4, "exclude_patterns": [r".*blocks\.\d.*"], "seed": 1}
    )
    path = tmp_path / "run.toml"
    write_configuration(path, configuration, title="LoRA Loom run 1")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# LoRA Loom run 1\n")
    assert "[network] # LoRA network\nnetwork_module" in text and "[optimizer]\n" in text
    assert "network_dim = 32 # Rank\n" in text
    assert "seed = 1 # Seed; default: none\n" in text
    assert "] # LoRA+ ratio, Exclude patterns\n" in text
    assert "max_train_steps = 1600 # Steps [optimizer steps]\n" in text
    assert 'mixed_precision = "bf16" # Mixed precision; no | fp16 | bf16\n' in text
    assert 'lr_scheduler = "constant" # Learning rate schedule; constant | constant_with_warmup | linear | …\n' in text
    assert tomllib.loads(text)["network"]["network_args"] == [
        "loraplus_lr_ratio=4",
        r"exclude_patterns=[r'.*blocks\.\d.*']",
    ]
    assert read_configuration(path) == configuration


@given(some_values)
def test_no_comment_goes_beyond_100_columns_and_every_option_has_one(values):
    text = formatted(configuration_of(values))
    for table in tomlkit.parse(text).values():
        for name, item in ((key.key, item) for key, item in table.value.body if key):
            start, _, end = f"{name} = {item.as_string()}".rpartition("\n")
            if comment := item.trivia.comment:
                assert len(f"{end} {comment}") <= 100
            else:
                assert re.search(rf"(?m)^# .+\n{re.escape(start or end)}", text)


def test_a_label_that_finds_no_room_stands_above_its_value():
    path = "/models/" + "x" * 80
    assert format_toml({"dit": path, "vae": "v"}) == (
        f'[model]\n# Transformer (DiT)\ndit = "{path}"\nvae = "v" # Video autoencoder (VAE)\n'
    )


def test_what_differs_from_its_default_tells_it():
    text = format_toml({"fp8_base": True, "learning_rate": 1e-5, "output_name": "x", "training_comment": "y"})
    for line in (
        "fp8_base = true # Weights in 8 bits; default: false",
        "learning_rate = 1e-05 # Learning rate; default: 0.0002",
        'output_name = "x" # Output name; default: lora',
        'training_comment = "y" # Comment',
    ):
        assert f"{line}\n" in text


def test_defaults_are_written_and_options_without_a_value_are_not():
    names = set(flatten(tomllib.loads(format_toml(Configuration().values()))))
    assert {"network_dim", "learning_rate", "sdpa"} <= names
    assert not {"dit", "network_dropout", "max_train_epochs", "network_args"} & names


@pytest.mark.parametrize(
    "text",
    [
        "network_dim = 8\nseed = 3\n",
        "[network]\nnetwork_dim = 8\n[schedule]\nseed = 3\n",
        "[whatever]\nnetwork_dim = 8\nseed = 3\n",
        "seed = 3\n[other]\nnetwork_dim = 8\n",
        "[preset]\ntitle = 'told of itself'\n[network]\nnetwork_dim = 8\nseed = 3\n",
    ],
)
def test_sections_may_be_left_out_or_have_any_name(tmp_path, text):
    (tmp_path / "run.toml").write_text(text)
    assert read_configuration(tmp_path / "run.toml") == Configuration.from_values({"network_dim": 8, "seed": 3})


def test_a_configuration_of_musubi_tuner_is_read(tmp_path):
    (tmp_path / "run.toml").write_text(
        "dit = 'C:\\models\\dit.safetensors'\n"
        "sdpa = true\n"
        "network_module = 'networks.lora'\n"
        'network_args = ["loraplus_lr_ratio=4", "exclude_patterns=[r\'.*single_blocks.*\']"]\n'
        "lr_scheduler = 'cosine'\nlr_warmup_steps = 0.1\n"
    )
    configuration = read_configuration(tmp_path / "run.toml")
    assert configuration.model.dit == r"C:\models\dit.safetensors"
    assert configuration.network.exclude_patterns == [".*single_blocks.*"]
    assert configuration.schedule.lr_warmup_steps == 0.1


def test_the_ending_may_be_left_out(tmp_path):
    (tmp_path / "my.run.toml").write_text("seed = 3\n")
    assert read_configuration(tmp_path / "my.run").schedule.seed == 3


def test_a_byte_order_mark_is_passed_over(tmp_path):
    (tmp_path / "run.toml").write_bytes(b"\xef\xbb\xbfseed = 3\n")
    assert read_configuration(tmp_path / "run.toml").schedule.seed == 3


def test_windows_paths_are_written_so_that_both_parsers_read_them():
    path = r"C:\xampp\new models\unet\日本語\it's.safetensors"
    text = format_toml({"dit": path})
    assert toml.loads(text) == tomllib.loads(text) == {"model": {"dit": path}}


def test_a_text_that_musubi_tuner_could_not_read_is_refused_with_its_option():
    with pytest.raises(OptionError) as raised:
        format_toml({"training_comment": '""\x1f'})
    assert str(raised.value).startswith("training_comment is ")
    assert raised.value.problems[0].option == "training_comment"


def test_a_fault_in_the_toml_is_told_with_file_and_line(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('seed = 3\ndit = "C:\\models"\n')
    with pytest.raises(OptionError, match=r"run\.toml: .*\(at line 2, column \d+\)"):
        read_configuration(path)


def test_a_missing_file_is_told_with_its_path(tmp_path):
    with pytest.raises(OptionError, match=r"absent\.toml: there is no such file"):
        read_configuration(tmp_path / "absent")


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe\x00s")
    with pytest.raises(OptionError, match=r"run\.toml: cannot be read"):
        read_configuration(tmp_path / "run.toml")


def test_every_mistake_in_a_file_is_told_with_the_files_name(tmp_path):
    (tmp_path / "run.toml").write_text("network_dim = 0\n[a]\nlearning_rat = 1\nnetwork_args = ['loraplus_lr_ratio=x']")
    with pytest.raises(OptionError) as raised:
        read_configuration(tmp_path / "run.toml")
    messages = [problem.message for problem in raised.value.problems]
    assert len(messages) == 3 and all(message.startswith("run.toml: ") for message in messages)


def test_what_network_args_say_has_the_place_of_network_args():
    expanded = expand_network_args({"network_args": ["verbose=True"]}, {"network_args": "run.toml"})
    assert expanded.values == {"verbose": "True"}
    assert expanded.places["verbose"] == "run.toml"
