"""The strings of network_args, both ways."""

import ast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.config.configuration import Configuration
from backend.config.network_args import format_network_args, parse_assignments, parse_network_args
from backend.errors import OptionError

patterns = st.text(st.characters(exclude_categories=["Cs"])) | st.text(st.sampled_from("='\"\\[](){},.*+?ab 画\n"))


@given(st.lists(patterns), st.lists(patterns))
@example(["(?=x)=y"], ['it\'s "both"', "ends in \\", "[\\]]", "日本語.*", ""])
def test_patterns_come_back_as_they_were(exclude, include):
    strings = format_network_args({"exclude_patterns": exclude, "include_patterns": include})
    assert parse_network_args(strings) == {
        name: value for name, value in (("exclude_patterns", exclude), ("include_patterns", include)) if value
    }


@given(st.lists(patterns, min_size=1))
@example(["(?=x)=y"])
def test_each_string_holds_a_literal_list_as_musubi_tuner_reads_it(exclude):
    (string,) = format_network_args({"exclude_patterns": exclude})
    name, text = string.split("=")  # it splits at every =, so there must be one only
    assert name == "exclude_patterns" and ast.literal_eval(text) == exclude


def test_the_strings_look_like_those_that_people_write_by_hand():
    values = {"loraplus_lr_ratio": 4.0, "exclude_patterns": [r".*single_blocks\.\d+.*"], "verbose": True}
    assert format_network_args(values) == [
        "loraplus_lr_ratio=4",
        r"exclude_patterns=[r'.*single_blocks\.\d+.*']",
        "verbose=True",
    ]


def test_numbers_of_lokr_and_convolutions_go_both_ways():
    strings = ["factor=8", "conv_dim=4", "conv_alpha=1", "rank_dropout=0.1"]
    network = Configuration.from_values({"network_module": "networks.lokr", "network_args": strings}).network
    assert (network.factor, network.conv_dim, network.conv_alpha, network.rank_dropout) == (8, 4, 1.0, 0.1)
    assert format_network_args(network.model_dump()) == strings


def test_defaults_are_left_out():
    values = {"loraplus_lr_ratio": None, "exclude_patterns": [], "verbose": False, "factor": -1, "conv_dim": None}
    assert format_network_args(values) == []


@pytest.mark.parametrize(
    ("string", "message"),
    [
        ("loraplus_lr_ratio", "network_args: 'loraplus_lr_ratio' has no name before an = (wanted name=value)"),
        ("=4", "network_args: '=4' has no name before an = (wanted name=value)"),
        (
            "algo=loha",
            "network_args: algo is not known (known are factor, conv_dim, conv_alpha, rank_dropout, module_dropout, "
            "loraplus_lr_ratio, exclude_patterns, include_patterns, verbose)",
        ),
        (
            "exclude_patterns=.*single.*",
            "exclude_patterns=.*single.* cannot be read (texts need quotes, lists need [ ])",
        ),
        (
            "exclude_patterns='.*'",
            "exclude_patterns is '.*' (wanted a list of quoted patterns, such as [r'.*single_blocks.*'])",
        ),
        (
            "include_patterns=['a', 1]",
            "include_patterns is ['a', 1] (wanted a list of quoted patterns, such as [r'.*single_blocks.*'])",
        ),
    ],
)
def test_a_string_that_cannot_be_read_is_named(string, message):
    with pytest.raises(OptionError) as raised:
        parse_network_args([string])
    assert str(raised.value) == message


@pytest.mark.parametrize("text", ["__import__('os').getcwd()", "[x for x in 'ab']", "open('f')", "[" * 5000])
def test_nothing_is_evaluated(text):
    with pytest.raises(OptionError, match="cannot be read"):
        parse_network_args([f"exclude_patterns={text}"])


def test_all_strings_that_cannot_be_read_are_named_at_once_with_their_place():
    with pytest.raises(OptionError) as raised:
        parse_network_args(["a=1", "verbose=True", "b"], place="run.toml")
    messages = [problem.message for problem in raised.value.problems]
    assert messages == ["run.toml: network_args: a is not known", "run.toml: network_args: 'b' has no name before an ="]


@pytest.mark.parametrize("strings", ["loraplus_lr_ratio=4", 4, [4], {"loraplus_lr_ratio": 4}])
def test_anything_but_a_list_of_texts_is_refused(strings):
    with pytest.raises(OptionError, match="wanted a list of texts"):
        parse_network_args(strings)


def test_assignments_are_literals():
    assert parse_assignments(["betas=0.9,0.99", "weight_decay = 0.1", "mode='a=b'"], option="optimizer_args") == {
        "betas": (0.9, 0.99),
        "weight_decay": 0.1,
        "mode": "a=b",
    }


@pytest.mark.parametrize("string", ["weight_decay", "weight_decay=high", "=1", "-x=1", "a b=1"])
def test_an_assignment_that_cannot_be_read_is_named(string):
    with pytest.raises(OptionError) as raised:
        parse_assignments([string], option="optimizer_args")
    assert string.split("=")[0] in str(raised.value)
    assert raised.value.problems[0].option == "optimizer_args"
