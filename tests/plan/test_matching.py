"""Regular expressions tried within a time limit: the answers are those of `re`, a hostile one is named."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.plan.matching import match_patterns
from backend.plan.modules import TransformerShape, block_linears

NAMES = [module.name for module in block_linears(TransformerShape.full_size())]


@pytest.mark.parametrize("pattern", [r".*single_blocks\.\d{2}\.linear.*", "(?i).*IMG_.*", r"(.)\1.*", "", "a|double.*"])
def test_the_whole_names_that_match_are_those_of_re(pattern):
    [match] = match_patterns([pattern], NAMES)
    assert match.whole == {name for name in NAMES if re.fullmatch(pattern, name)}
    assert match.is_usable


def test_where_no_whole_name_matches_the_names_are_told_that_it_fits_a_part_of():
    whole, part = match_patterns([".*single.*", "single"], NAMES)
    assert (len(whole.whole), whole.part) == (120, frozenset())
    assert (whole.whole, part.whole) == (part.part, frozenset())


@given(st.lists(st.text(max_size=10), max_size=4))
@settings(max_examples=25, deadline=None)
def test_any_text_is_answered_in_its_place(patterns):
    matches = match_patterns(patterns, NAMES)
    assert [match.pattern for match in matches] == patterns
    for match in matches:
        try:
            compiled = re.compile(match.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            assert match.fault == str(error)
        else:
            assert match.whole == {name for name in NAMES if compiled.fullmatch(name)}


@pytest.mark.parametrize(
    ("pattern", "fault", "position"),
    [
        ("ab(c", "missing ), unterminated subpattern at position 2", 2),
        ("*", "nothing to repeat at position 0", 0),
        ("a{99999999999999999999}", "the repetition number is too large", None),
        ("(" * 5000, "maximum recursion depth exceeded", None),
    ],
)
def test_what_is_no_regular_expression_is_told_with_its_place(pattern, fault, position):
    [match] = match_patterns([pattern], NAMES)
    assert fault in match.fault
    assert match.position == position
    assert not match.is_usable


def test_a_hostile_pattern_is_named_and_those_around_it_are_answered():
    before, hostile, after = match_patterns([".*linear1", r"([a-z_0-9.]+)+\$", ".*linear2"], NAMES, limit_s=0.5)
    assert (hostile.is_too_slow, hostile.is_usable, hostile.whole) == (True, False, frozenset())
    assert (len(before.whole), len(after.whole)) == (40, 40)
