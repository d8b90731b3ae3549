"""What options need of others to act: declared with names and values that there are, and told in words."""

import pytest

from backend.config.configuration import all_options
from backend.config.needs import Need, first_unmet, given, one_of, without

DECLARED = [(name, need) for name, declared in all_options().items() for need in declared.needs]


@pytest.mark.parametrize(("name", "need"), DECLARED)
def test_a_declared_need_names_an_option_and_values_that_it_can_have(name, need):
    other = all_options()[need.option]
    assert need.option != name
    if need.values and other.choices:
        assert set(need.values) <= set(other.choices)


@pytest.mark.parametrize("value", [None, False, "", 0, []])
def test_what_is_empty_off_or_zero_is_not_given(value):
    assert not given("other").is_met(value)
    assert without("other").is_met(value)


@pytest.mark.parametrize(
    ("need", "value", "reason", "hint"),
    [
        (
            one_of("network_module", "networks.lokr"),
            "networks.lora",
            "network_module is networks.lora",
            "networks.lokr",
        ),
        (one_of("log_with", "wandb", "all"), "tensorboard", "log_with is tensorboard", "choose wandb or all to use it"),
        (without("lr_scheduler", "constant"), "constant", "lr_scheduler is constant", ""),
        (without("num_machines", "1"), 1, "num_machines is 1", ""),
        (given("save_state"), False, "save_state is off", ""),
        (given("blocks_to_swap"), None, "blocks_to_swap is not given", ""),
        (without("dim_from_weights"), True, "dim_from_weights is on", ""),
        (without("max_train_epochs"), 3, "max_train_epochs is given", ""),
    ],
)
def test_an_unmet_need_is_told_with_its_reason_and_the_way_out(need: Need, value, reason, hint):
    assert not need.is_met(value)
    assert need.reason(value) == reason
    assert hint in need.hint() and bool(hint) == bool(need.hint())


def test_the_first_unmet_need_counts():
    needs = (given("a"), one_of("b", "x", "y"))
    assert first_unmet(needs, {"a": 1, "b": "z"}) == needs[1]
    assert first_unmet(needs, {"a": 0, "b": "z"}) == needs[0]
    assert first_unmet(needs, {"a": 1, "b": "y"}) is None


def test_a_need_stands_in_the_manual():
    assert one_of("log_with", "wandb", "all").in_words() == "only with `log_with` wandb, all"
    assert without("dim_from_weights").in_words() == "not with `dim_from_weights`"
