"""What is read from the declaration of an option."""

from typing import Literal

import pytest
from pydantic import ValidationError

from backend.config.options import (
    OptionGroup,
    StepsOrRatio,
    describe,
    format_steps_or_ratio,
    option,
    parse_steps_or_ratio,
)


class Example(OptionGroup):
    """Example group

    More about it.
    """

    count: int = option(3, label="Count", unit="items", basic=True, ge=1, le=8)
    """How many
    there are."""

    rate: float | None = option(None, label="Rate", gt=0)
    """How fast."""

    mode: Literal["slow", "fast"] = option("slow", label="Mode")
    """Which way."""

    names: list[str] = option([], label="Names", network_arg=True)
    """Which ones."""

    folder: str | None = option(None, label="Folder", path="folder")
    """Where."""

    warmup: StepsOrRatio = option(0, label="Warm-up", ge=0)
    """How long."""

    quiet: bool = option(False, label="Quiet")
    """Say less."""


def test_a_declaration_tells_name_label_help_limits_and_unit():
    found = describe(Example, "count")
    assert (found.name, found.group, found.label, found.help) == (
        "count",
        "Example group",
        "Count",
        "How many there are.",
    )
    assert (found.kind, found.default, found.limits, found.unit) == ("integer", 3, "at least 1, at most 8", "items")
    assert found.basic and not found.optional and not found.network_arg


@pytest.mark.parametrize(
    ("name", "kind", "optional"),
    [
        ("rate", "number", True),
        ("mode", "choice", False),
        ("names", "list", False),
        ("folder", "text", True),
        ("warmup", "steps_or_ratio", False),
        ("quiet", "flag", False),
    ],
)
def test_the_kind_follows_from_the_annotation(name, kind, optional):
    found = describe(Example, name)
    assert (found.kind, found.optional) == (kind, optional)


def test_choices_and_the_kind_of_a_path_are_told():
    assert describe(Example, "mode").choices == ("slow", "fast")
    assert describe(Example, "folder").path == "folder"


def test_a_group_is_frozen_and_refuses_unknown_names():
    with pytest.raises(ValidationError):
        Example(cuont=1)
    with pytest.raises(ValidationError):
        Example().count = 5


@pytest.mark.parametrize("name", ["count", "rate", "warmup"])
def test_true_is_not_taken_for_the_number_1(name):
    with pytest.raises(ValidationError):
        Example(**{name: True})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "nan", "inf"])
@pytest.mark.parametrize("name", ["rate", "warmup"])
def test_numbers_that_are_not_finite_are_refused(name, value):
    with pytest.raises(ValidationError):
        Example(**{name: value})


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("100", 100),
        (100, 100),
        (100.0, 100),
        ("0", 0),
        (0.0, 0),
        ("0.1", 0.1),
        (0.1, 0.1),
        ("10%", 0.1),
        (" 10 % ", 0.1),
        ("1", 1),
        ("1.0", 1),  # on musubi-tuner's command line: one step
        (1.0, 1.0),  # in its files: a ratio, all steps
        ("100%", 1.0),
    ],
)
def test_a_whole_number_means_steps_and_a_part_or_percentage_a_ratio(written, value):
    parsed = parse_steps_or_ratio(written)
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize("written", ["1.5", 1.5, "101%", "-5%", "-0.1", "some", "", "1e999", None, [1], True])
def test_what_is_neither_steps_nor_a_ratio_is_refused(written):
    with pytest.raises(ValueError):
        parse_steps_or_ratio(written)


@pytest.mark.parametrize("value", [0, 1, 100, 0.1, 1 / 3, 1.0])
def test_steps_and_ratios_come_back_from_their_text(value):
    parsed = parse_steps_or_ratio(format_steps_or_ratio(value))
    assert parsed == value and type(parsed) is type(value)
