"""Which modules are selected, compared with what the reference selects on the full-size model."""

import ast
import hashlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import OptionError, UserError
from backend.plan.modules import TransformerShape, block_linears
from backend.plan.selection import (
    DEFAULT_EXCLUDE,
    ModuleState,
    examine_patterns,
    lora_name,
    pattern_problems,
    select_modules,
    trained_modules,
)

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = {case["case"]: case for case in json.loads((GOLDEN / "lora_selection.json").read_text("utf-8"))["cases"]}
MODULES = block_linears(TransformerShape.full_size())
NAMES = {module.name for module in MODULES}


def patterns_of(case: dict) -> dict[str, list[str]]:
    arguments = dict(argument.split("=", 1) for argument in case["network_args"])
    return {key: ast.literal_eval(arguments.get(key, "[]")) for key in ("exclude_patterns", "include_patterns")}


def state_of(name: str, **patterns) -> tuple[ModuleState, str | None]:
    decision = next(decision for decision in select_modules(MODULES, **patterns) if decision.module.name == name)
    return decision.state, decision.pattern


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "count" in case and "err" not in name])
def test_the_same_modules_are_selected_as_in_the_reference(name):
    case = CASES[name]
    trained = trained_modules(select_modules(MODULES, **patterns_of(case)))
    names = [lora_name(module.name) for module in trained]
    assert len(names) == case["count"]
    assert sum(case["rank"] * (module.in_features + module.out_features) for module in trained) == case["params"]
    assert hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest() == case["sha256_sorted"]
    assert names[:3] == case["first"]
    assert names[-3:] == case["last"]
    assert names == case.get("names", names)


def test_a_pattern_with_an_equals_sign_works():
    trained = trained_modules(select_modules(MODULES, **patterns_of(CASES["err_equals_in_pattern"])))
    assert {module.name.split(".")[0] for module in trained} == {"double_blocks"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "err_bad_regex_skipped",
            'exclude_patterns: "(unclosed" is not a regular expression: '
            "missing ), unterminated subpattern at position 0 (remove or mend the pattern)",
        ),
        (
            "err_bad_regex_include_skipped",
            'include_patterns: "*bad" is not a regular expression: '
            "nothing to repeat at position 0 (did you mean .*bad?)",
        ),
    ],
)
def test_an_invalid_pattern_is_refused_where_the_reference_trains_on(name, message):
    patterns = patterns_of(CASES[name])
    with pytest.raises(OptionError) as refusal:
        select_modules(MODULES, **patterns)
    assert str(refusal.value) == message
    assert [str(problem) for problem in pattern_problems(MODULES, **patterns) if problem.severity == "error"] == [
        message
    ]


def test_all_invalid_patterns_of_an_option_are_told_at_once():
    with pytest.raises(OptionError) as refusal:
        select_modules(MODULES, exclude_patterns=["[a", ".*", "a{99999999999999999999}"])
    assert [problem.option for problem in refusal.value.problems] == ["exclude_patterns", "exclude_patterns"]
    assert "unterminated character set at position 0" in refusal.value.problems[0].message
    assert "the repetition number is too large" in refusal.value.problems[1].message


@pytest.mark.parametrize("option", ["exclude_patterns", "include_patterns"])
def test_a_pattern_that_takes_too_long_is_refused_and_hangs_nothing(option):
    message = f'{option}: "([a-z_0-9.]+)+\\$" takes longer than 2 seconds to match'
    with pytest.raises(OptionError, match=re.escape(message)):
        select_modules(MODULES, **{option: [r"([a-z_0-9.]+)+\$"]})
    [problem] = pattern_problems(MODULES, **{option: [r"([a-z_0-9.]+)+\$"]})
    assert (problem.message, problem.severity, problem.option) == (message, "error", option)


def test_selecting_nothing_is_refused():
    patterns = patterns_of(CASES["err_nothing_selected"])
    message = "the patterns leave no module to train"
    with pytest.raises(OptionError, match=message):
        trained_modules(select_modules(MODULES, **patterns))
    assert [(problem.severity, problem.message) for problem in pattern_problems(MODULES, **patterns)] == [
        ("error", message)
    ]


def test_each_decision_names_the_pattern_that_decided():
    patterns = {"exclude_patterns": [r".*txt.*", r".*single_blocks.*"], "include_patterns": [r".*\.7\.txt_mod.*"]}
    assert state_of("double_blocks.0.img_attn_qkv", **patterns) == (ModuleState.TRAINED, None)
    assert state_of("double_blocks.0.img_mod.linear", **patterns) == (ModuleState.EXCLUDED_BY_DEFAULT, DEFAULT_EXCLUDE)
    assert state_of("double_blocks.0.txt_attn_qkv", **patterns) == (ModuleState.NOT_TRAINED, ".*txt.*")
    assert state_of("single_blocks.3.modulation.linear", **patterns) == (ModuleState.NOT_TRAINED, ".*single_blocks.*")
    assert state_of("double_blocks.7.txt_mod.linear", **patterns) == (ModuleState.TRAINED, r".*\.7\.txt_mod.*")


@pytest.mark.parametrize("option", ["exclude_patterns", "include_patterns"])
@pytest.mark.parametrize(
    ("pattern", "message", "hint"),
    [
        (
            "single_blocks",
            '"single_blocks" matches no module: it fits a part of 120 names, but has to match the whole name',
            "did you mean .*single_blocks.*?",
        ),
        (
            "txt_attn|txt_mlp",
            '"txt_attn|txt_mlp" matches no module: it fits a part of 80 names, but has to match the whole name',
            "did you mean .*(txt_attn|txt_mlp).*?",
        ),
        (
            "(?i)SINGLE",
            '"(?i)SINGLE" matches no module: it fits a part of 120 names, but has to match the whole name',
            "put .* before and after it",
        ),
        (
            "single_blocks_0_linear1",
            '"single_blocks_0_linear1" matches no module',
            "names are written with dots: double_blocks.0.img_mod.linear",
        ),
    ],
)
def test_a_pattern_that_matches_nothing_is_doubted(option, pattern, message, hint):
    [problem] = pattern_problems(MODULES, **{option: [pattern]})
    assert (problem.severity, problem.option) == ("warning", option)
    assert problem.message == f"{option}: {message}"
    assert problem.hint == hint


def test_an_include_pattern_that_rescues_nothing_is_doubted():
    [problem] = pattern_problems(MODULES, **patterns_of(CASES["include_without_exclude_is_noop"]))
    assert problem.severity == "warning"
    assert problem.message == (
        r'include_patterns: ".*single_blocks\.0\.linear1" matches only modules that are trained anyway (1)'
    )
    assert problem.hint == 'to train only these, put ".*" into exclude_patterns'


@pytest.mark.parametrize(
    "name", ["defaults", "doc_single_from_10", "include_modulation", "image_stream_only", "attn_only"]
)
def test_nothing_is_wrong_with_the_patterns_of_the_documentation(name):
    assert pattern_problems(MODULES, **patterns_of(CASES[name])) == []


def test_a_report_tells_what_each_pattern_does_in_the_order_of_the_lists():
    reports = examine_patterns(
        MODULES,
        exclude_patterns=[".*txt.*", "single_blocks", "ab(c"],
        include_patterns=[".*txt_mlp.*", ".*img_mlp.*", "none"],
    )
    assert [(report.finding, report.count) for report in reports] == [
        ("", 100),
        ("part_only", 120),
        ("invalid", 0),
        ("", 40),
        ("rescues_nothing", 40),
        ("no_match", 0),
    ]
    assert (reports[1].suggestion, reports[2].position) == (".*single_blocks.*", 2)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        (".*single_blocks", ".*single_blocks.*"),
        ("linear1.*x|linear2", ".*(linear1.*x|linear2).*"),
        ("linear1", ".*linear1.*"),
    ],
)
def test_what_is_put_around_a_pattern_is_not_there_already(pattern, meant):
    (report,) = examine_patterns(MODULES, exclude_patterns=[pattern], include_patterns=[])
    assert report.suggestion == meant


def test_a_module_that_is_brought_back_names_the_pattern_that_had_excluded_it():
    decisions = select_modules(MODULES, exclude_patterns=[".*"], include_patterns=[".*linear1"])
    rescued = next(decision for decision in decisions if decision.module.name == "single_blocks.0.linear1")
    assert (rescued.pattern, rescued.rescued_from) == (".*linear1", ".*")


pattern_texts = st.one_of(
    st.text(max_size=12), st.sampled_from([".*", "single_blocks", r".*\d\d.*", "(", "*", "linear.*"])
)


@settings(deadline=None, max_examples=40)
@given(st.lists(pattern_texts, max_size=3), st.lists(pattern_texts, max_size=3))
def test_problems_hold_an_error_exactly_when_the_selection_is_refused(exclude, include):
    patterns = {"exclude_patterns": exclude, "include_patterns": include}
    has_error = any(problem.severity == "error" for problem in pattern_problems(MODULES, **patterns))
    try:
        trained_modules(select_modules(MODULES, **patterns))
    except UserError:
        assert has_error
    else:
        assert not has_error


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(NAMES)), st.data())
def test_a_suggested_pattern_matches_what_the_pattern_was_found_in(name, data):
    start = data.draw(st.integers(1, len(name) - 2))
    part = name[start : data.draw(st.integers(start + 1, len(name) - 1))]
    for problem in pattern_problems(MODULES, exclude_patterns=[part]):
        if suggestion := re.fullmatch(r"did you mean (.+)\?", problem.hint):
            matched = {other for other in NAMES if re.fullmatch(suggestion[1], other)}
            assert matched == {other for other in NAMES if re.search(part, other)}
