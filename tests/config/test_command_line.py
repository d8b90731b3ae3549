"""Options as flags."""

import shlex

import pytest
from hypothesis import given

from backend.config.command_line import format_arguments, make_parser, read_arguments
from backend.config.configuration import Configuration, all_options
from backend.config.importing import import_text
from backend.config.schema import GROUPS
from backend.errors import OptionError
from tests.config.configurations import some_values


def read(*arguments):
    parser = make_parser("train", description="Train.", groups=GROUPS)
    return read_arguments(parser, list(arguments))[0]


def problems_of(*arguments):
    with pytest.raises(OptionError) as raised:
        read(*arguments)
    return [str(problem) for problem in raised.value.problems]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        "network_dim = 8\nverbose = true\nnetwork_args = ['loraplus_lr_ratio=4', \"exclude_patterns=['.*']\"]\n"
    )
    return path


def test_what_looks_like_a_flag_can_stand_in_a_list():
    tags = ["-h", "a b", "--seed", "-1"]
    arguments = format_arguments({"wandb_tags": tags})
    assert read(*arguments).values()["wandb_tags"] == tags
    assert import_text(shlex.join(["python", "train.py", *arguments])).values == {"wandb_tags": tags}


@given(some_values)
def test_the_arguments_for_a_configuration_give_it_again(values):
    configuration = Configuration.from_values({"lr_scheduler": "linear", **values})
    assert read(*format_arguments(configuration.values())) == configuration


def test_what_begins_with_one_dash_is_a_value_of_a_list_and_no_flag():
    configuration = read("--wandb_tags", "-:", "-x", "--exclude_patterns", "-1", "--verbose")
    assert configuration.logging.wandb_tags == ["-:", "-x"] and configuration.network.exclude_patterns == ["-1"]
    assert configuration.network.verbose
    assert any("'-r' was not expected" in problem for problem in problems_of("--network_dim", "8", "-r"))


def test_defaults_need_no_arguments():
    assert format_arguments(Configuration().values()) == []


def test_flags_are_taken_over_the_file(file):
    configuration = read("--config_file", str(file), "--network_dim", "16", "--no_verbose")
    assert configuration.network.network_dim == 16
    assert configuration.network.verbose is False
    assert configuration.network.loraplus_lr_ratio == 4


def test_network_args_on_the_command_line_replace_the_list_in_the_file_as_in_musubi_tuner(file):
    network = read("--config_file", str(file), "--network_args", "loraplus_lr_ratio=8").network
    assert (network.loraplus_lr_ratio, network.exclude_patterns) == (8, [])


def test_a_flag_of_its_own_wins_over_network_args_in_the_file(file):
    network = read("--config_file", str(file), "--loraplus_lr_ratio", "8", "--exclude_patterns", "a", "b").network
    assert (network.loraplus_lr_ratio, network.exclude_patterns) == (8, ["a", "b"])


def test_a_list_can_be_emptied_and_an_option_cleared(file):
    network = read("--config_file", str(file), "--exclude_patterns", "--loraplus_lr_ratio", "").network
    assert (network.loraplus_lr_ratio, network.exclude_patterns) == (None, [])


def test_switches_are_set_and_unset():
    assert read("--gradient_checkpointing").memory.gradient_checkpointing is True
    assert read("--gradient_checkpointing", "--no_gradient_checkpointing").memory.gradient_checkpointing is False
    assert problems_of("--no_sdpa") == ["no attention backend is chosen (switch SDPA attention (sdpa) on)"]


def test_a_text_that_begins_with_a_dash_is_told_apart_from_a_flag():
    arguments = format_arguments({"training_comment": "--network_dim"})
    assert arguments == ["--training_comment=--network_dim"]
    assert read(*arguments).metadata.training_comment == "--network_dim"


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["--network_dmi", "4"], ["there is no option --network_dmi (did you mean network_dim?)"]),
        (["--network_dmi=4"], ["there is no option --network_dmi (did you mean network_dim?)"]),
        (
            ["--console_num_images", "4"],
            [
                "--console_num_images asks for something else than a run "
                "(give it to the command: python -m backend cache_latents --console_num_images)"
            ],
        ),
        (["--network_d", "4"], ["there is no option --network_d (did you mean network_dim?)"]),
        (["stray"], ["'stray' was not expected (python -m backend train --help lists all options)"]),
        (["--network_dim", "x"], ["Rank (network_dim) is 'x' (wanted a whole number, at least 1)"]),
        (
            ["--network_dim"],
            ["argument --network_dim: expected one argument (python -m backend train --help lists all options)"],
        ),
    ],
)
def test_a_mistake_is_told_with_the_way_out(arguments, messages):
    assert problems_of(*arguments) == messages


def test_all_mistakes_in_file_and_flags_are_told_at_once(tmp_path):
    (tmp_path / "run.toml").write_text("seed = -1\nnetwork_args = ['a']\nlearning_rat = 1\nnetwork_alpha = -1\n")
    found = problems_of(
        *("--config_file", str(tmp_path / "run.toml")),
        *("--network_dim", "0", "--network_args", "b", "--nonsense", "--network_alpha", "1"),
    )
    assert len(found) == 6
    assert sum("run.toml: " in message for message in found) == 3


def test_a_missing_file_does_not_hide_the_other_mistakes(tmp_path):
    found = problems_of("--config_file", str(tmp_path / "absent"), "--nonsense")
    assert len(found) == 2


def test_help_shows_the_options_of_the_asked_groups(capsys):
    parser = make_parser("cache_latents", description="Cache.", groups=("dataset", "model"))
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "--dataset_config" in shown and "--vae " in shown and "--learning_rate" not in shown


def test_every_option_has_a_flag():
    parser = make_parser("train", description="Train.", groups=GROUPS)
    flags = {flag for action in parser._actions for flag in action.option_strings}
    assert {f"--{name}" for name in all_options()} <= flags


def test_options_of_other_models_in_a_shared_file_are_passed_over_and_named(tmp_path, capsys):
    (tmp_path / "shared.toml").write_text('[a]\ntask = "t2v-14B"\nnetwork_dim = 8\nfp8_t5 = true\n', encoding="utf-8")
    parser = make_parser("train", description="", groups=[])
    configuration, _ = read_arguments(parser, ["--config_file", str(tmp_path / "shared")])
    assert configuration.network.network_dim == 8
    assert capsys.readouterr().err.splitlines() == [
        "warning: shared.toml: task is an option of musubi-tuner for other models; it is passed over",
        "warning: shared.toml: fp8_t5 is an option of musubi-tuner for other models; it is passed over",
    ]
