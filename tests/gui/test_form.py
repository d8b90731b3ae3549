"""The form's fields and the options they stand for."""

import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.config.configuration import Configuration, all_options
from backend.errors import OptionError
from gui.form import Draft, form_of, format_number, from_field, make_field, read_form, sections, to_field
from gui.texts import texts_of
from tests.config.configurations import some_values

DEFAULTS = form_of({})


def test_every_option_has_one_field_with_its_name_label_unit_and_help():
    fields = [make_field(declared, texts_of("en")) for _, options in sections().values() for declared in options]
    assert [field.elem_id for field in fields] == list(all_options())
    for field, declared in zip(fields, all_options().values(), strict=True):
        assert field.label == (f"{declared.label} [{declared.unit}]" if declared.unit else declared.label)
        assert field.info == declared.help


def test_a_field_tells_its_unit_in_japanese_too():
    assert make_field(all_options()["max_train_steps"], texts_of("ja")).label == "ステップ数 [ステップ]"


def test_the_kind_of_an_option_decides_its_field():
    assert isinstance(make_field(all_options()["gradient_checkpointing"], texts_of("en")), gr.Checkbox)
    assert isinstance(make_field(all_options()["mixed_precision"], texts_of("en")), gr.Dropdown)
    assert make_field(all_options()["exclude_patterns"], texts_of("en")).lines == 2
    assert isinstance(
        make_field(all_options()["learning_rate"], texts_of("en")), gr.Textbox
    )  # a number field would lose 1e-5


@given(some_values)
def test_a_configuration_shown_in_the_form_is_read_back_the_same(values):
    lists = {name: list(filter(None, map(str.strip, value))) for name, value in values.items() if type(value) is list}
    if "lr_warmup_steps" in values:
        values = {**values, "lr_scheduler": "linear"}  # which has a warm-up
    configuration = Configuration.from_values({**values, **lists})  # a blank line is no item
    assert read_form(form_of(configuration.values())) == configuration


def test_the_untouched_form_is_the_default_configuration():
    assert read_form(DEFAULTS) == Configuration()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_written_short_and_exactly(number):
    assert float(format_number(number)) == number


@pytest.mark.parametrize(
    ("number", "text"), [(4.0, "4"), (0.5, "0.5"), (2e-4, "2e-4"), (1e-5, "1e-5"), (0.0, "0"), (1.25e-7, "1.25e-7")]
)
def test_numbers_are_written_as_people_do(number, text):
    assert format_number(number) == text


def test_a_list_has_one_item_a_line_and_blank_lines_are_nothing():
    declared = all_options()["exclude_patterns"]
    assert from_field(declared, " .*a.* \n\n\n.*b=.*\n") == [".*a.*", ".*b=.*"]
    assert to_field(declared, [".*a.*", ".*b.*"]) == ".*a.*\n.*b.*"


def test_mistakes_are_told_with_the_option_of_their_field():
    raw = dict(zip(all_options(), DEFAULTS, strict=True)) | {"network_dim": "x", "learning_rate": ""}
    with pytest.raises(OptionError) as raised:
        read_form(list(raw.values()))
    assert {problem.option for problem in raised.value.problems} == {"network_dim", "learning_rate"}


def test_the_draft_keeps_what_was_typed_even_if_it_is_wrong(tmp_path):
    raw = dict(zip(all_options(), DEFAULTS, strict=True))
    raw |= {"network_dim": "6x", "learning_rate": "1e-5", "exclude_patterns": "((\n.*é=.*", "verbose": True}
    Draft(tmp_path).save(list(raw.values()))
    assert Draft(tmp_path).load() == list(raw.values())


@pytest.mark.parametrize(
    "content", ["", "network_dim = [", "network_dim = 5\nverbose = 'yes'\nnobody = 1\nmixed_precision = 'fp7'\n"]
)
def test_a_draft_that_is_missing_damaged_or_of_another_version_gives_the_defaults(tmp_path, content):
    if content:
        (tmp_path / "draft.toml").write_text(content, encoding="utf-8")
    assert Draft(tmp_path).load() == DEFAULTS
