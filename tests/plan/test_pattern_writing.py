"""Patterns that the program writes: they match what they are for, and adding and removing changes nothing else."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.plan.modules import TransformerShape, block_linears
from backend.plan.pattern_writing import (
    COMMON_SELECTIONS,
    PatternLists,
    add_modules,
    patterns_for,
    remove_modules,
    toggle_modules,
)
from backend.plan.selection import ModuleState, select_modules

MODULES = block_linears(TransformerShape.full_size())
NAMES = [module.name for module in MODULES]
DOUBLE, SINGLE = (
    [name for name in NAMES if name.startswith(kind) and "mod" not in name] for kind in ("double", "single")
)

name_sets = st.sets(st.sampled_from(NAMES), max_size=40)
user_patterns = st.lists(
    st.sampled_from([".*", ".*single_blocks.*", r".*\.\d{2}\..*", ".*attn.*", "nothing", "(", *NAMES[:3]]), max_size=3
)
written_lists = st.builds(lambda a, b: PatternLists(tuple(a), tuple(b)), user_patterns, user_patterns)


def trained(lists: PatternLists) -> set[str]:
    """Without the patterns that are no regular expressions."""
    exclude, include = ([p for p in patterns if p != "("] for patterns in (lists.exclude, lists.include))
    decisions = select_modules(MODULES, exclude_patterns=exclude, include_patterns=include)
    return {decision.module.name for decision in decisions if decision.state is ModuleState.TRAINED}


def names_of(*patterns: str) -> set[str]:
    return {name for name in NAMES if any(re.fullmatch(pattern, name) for pattern in patterns)}


@pytest.mark.parametrize(
    ("names", "patterns"),
    [
        (["single_blocks.24.linear1"], [r"single_blocks\.24\.linear1"]),
        (
            ["single_blocks.24.linear1", "single_blocks.25.linear1", "single_blocks.9.linear1"],
            [r"single_blocks\.(9|2[45])\.linear1"],
        ),
        (names_of(r"double_blocks\.\d+\.img_attn_qkv"), [r"double_blocks\.\d+\.img_attn_qkv"]),
        (names_of(r"double_blocks\.7\..*"), [r"double_blocks\.7\..*"]),
        ([n for n in DOUBLE if n.startswith("double_blocks.7.")], [r"double_blocks\.7\.(img|txt)_(attn|mlp).*"]),
        (names_of(r"single_blocks\.[1-3]\d\.linear[12]"), [r"single_blocks\.[1-3]\d\.linear.*"]),
        (
            names_of(r"single_blocks\.(0|3)\.linear1", r"single_blocks\.0\.linear2"),
            [r"single_blocks\.[03]\.linear1", r"single_blocks\.0\.linear2"],
        ),
        ([], []),
    ],
)
def test_patterns_are_written_as_a_person_would(names, patterns):
    assert patterns_for(names, MODULES) == patterns


@given(name_sets)
@settings(max_examples=60, deadline=None)
def test_written_patterns_match_their_modules_and_no_others(names):
    assert names_of(*patterns_for(names, MODULES)) == names


@given(written_lists, name_sets)
@settings(max_examples=60, deadline=None)
def test_adding_and_removing_modules_leaves_all_others_as_they_are(lists, names):
    before = trained(lists)
    assert trained(add_modules(MODULES, names, lists)) == before | names
    assert trained(remove_modules(MODULES, names, lists)) == before - names


@given(written_lists, st.sampled_from(NAMES))
@settings(max_examples=40, deadline=None)
def test_toggling_twice_leads_back(lists, name):
    once = toggle_modules(MODULES, [name], lists)
    assert trained(lists) ^ trained(once) == {name}
    assert trained(toggle_modules(MODULES, [name], once)) == trained(lists)


def test_clicks_that_follow_each_other_are_written_as_one_pattern_and_leave_none_when_taken_back():
    lists = PatternLists()
    for number in (3, 4, 5):
        lists = toggle_modules(MODULES, [f"single_blocks.{number}.linear1"], lists)
    assert lists == PatternLists(exclude=(r"single_blocks\.[3-5]\.linear1",))
    for number in (3, 4, 5):
        lists = toggle_modules(MODULES, [f"single_blocks.{number}.linear1"], lists)
    assert lists == PatternLists()


def test_the_users_own_patterns_stay_where_they_can():
    lists = PatternLists((".*",), (r".*single_blocks\.\d{2}\.linear.*", "("))
    added = add_modules(MODULES, ["double_blocks.0.img_attn_qkv"], lists)
    assert added == PatternLists((".*",), (*lists.include, r"double_blocks\.0\.img_attn_qkv"))
    removed = remove_modules(MODULES, ["single_blocks.24.linear1"], lists)
    split = (r"single_blocks\.([13]\d|2[0-35-9])\.linear1", r"single_blocks\.[1-3]\d\.linear2")
    assert removed == PatternLists((".*",), (*split, "("))


def test_a_block_is_added_without_its_modulation_and_removed_with_it():
    block = [name for name in NAMES if name.startswith("single_blocks.3.")]
    nothing = PatternLists((".*",))
    added = toggle_modules(MODULES, block, nothing)
    assert trained(added) == {"single_blocks.3.linear1", "single_blocks.3.linear2"}
    with_modulation = toggle_modules(MODULES, ["single_blocks.3.modulation.linear"], added)
    assert trained(with_modulation) == set(block)
    assert trained(toggle_modules(MODULES, block, with_modulation)) == set()


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        ("all", 240),
        ("double", 160),
        ("single", 80),
        ("single_from_10th", 60),
        ("attention", 80),
        ("mlp", 80),
        ("modulation", 320),
    ],
)
def test_common_selections_train_what_they_say(selection, count):
    assert len(trained(COMMON_SELECTIONS[selection])) == count
