"""The benchmark of a step, for a model that takes no time."""

import json

import pytest

from tests import forked


def run(*arguments):
    done = forked.run("benchmarks/step.py", "--sizes", "tiny", "--repeats", "2", "--threads", "1", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_figures_are_printed_and_written_and_checkpointing_changes_no_number(tmp_path):
    run("--json", str(tmp_path / "f.json"), "--dtypes", "fp32")
    plain, checkpointed = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))
    assert [plain["checkpointing"], checkpointed["checkpointing"]] == [False, True]
    assert (plain["loss"], plain["gradient_norm"]) == (checkpointed["loss"], checkpointed["gradient_norm"])
    operations = [figures["floor_seconds"] * figures["gflops"] for figures in (plain, checkpointed)]
    assert 0 < operations[0] < operations[1]  # the rates of two processes differ by what else the machine does
    assert plain["seconds"] <= plain["median_seconds"] and plain["modules"] == 12
    assert plain["floor_ratio"] == pytest.approx(plain["floor_seconds"] / plain["seconds"])


def test_a_saved_case_is_the_same_step_again_and_patterns_choose_modules(tmp_path):
    single = ("--exclude", ".*", "--include", r".*single_blocks\.1\..*linear\d", "--dtypes", "fp32")
    single += ("--checkpointing_cases", "no", "--json", str(tmp_path / "f.json"))
    figures = []
    for case in ("--save_case", "--load_case"):
        run(*single, case, str(tmp_path / "case.safetensors"))
        figures += json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))
    assert figures[0]["modules"] == 2
    assert figures[1]["loss"] == pytest.approx(figures[0]["loss"], rel=1e-6)
    assert figures[1]["gradient_norm"] == pytest.approx(figures[0]["gradient_norm"], rel=1e-5)
