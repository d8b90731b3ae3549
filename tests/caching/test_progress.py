"""What a caching pass tells of itself."""

from __future__ import annotations

import pytest

from backend.caching.progress import report_left_out, shown_progress
from backend.errors import DatasetError, Problem, UserError
from backend.runs.status import Reporter


def test_the_time_left_counts_from_the_beginning_of_the_pass():
    reporter, times = Reporter(None), iter([1000.0, 1010.0, 1030.0])
    with shown_progress("clipL", total=4, reporter=reporter, clock=lambda: next(times)) as progress:
        assert (reporter.status.step, reporter.status.total_steps, reporter.status.time_left_s) == (0, 4, None)
        progress(1, 4, "first")
        assert (reporter.status.step, reporter.status.time_left_s, reporter.status.message) == (1, 30, "first")
        progress(3, 4, "third")
        assert reporter.status.time_left_s == 10


def test_what_could_not_be_cached_is_counted_in_the_status():
    reporter = Reporter(None)
    report_left_out([], cached_count=7, reporter=reporter)
    assert reporter.status.message == ""
    warning = Problem("a.png: not a readable picture", severity="warning")
    report_left_out([warning], cached_count=5, reporter=reporter)
    assert reporter.status.message == "1 of 6 items could not be cached, see the log"
    report_left_out([warning, warning], cached_count=5, reporter=reporter)
    assert reporter.status.message == "2 of 7 items could not be cached, see the log"


def test_if_nothing_at_all_could_be_cached_the_pass_fails():
    warning = Problem("a.png: not a readable picture", severity="warning")
    with pytest.raises(UserError) as raised:
        report_left_out([warning], cached_count=0, reporter=Reporter(None))
    assert raised.value.exit_code == 1
    assert [problem.severity for problem in raised.value.problems] == ["error"]


def test_a_dataset_of_nothing_is_an_error():
    with pytest.raises(DatasetError, match=r"no pictures and no clips \(check the paths in the dataset file\)"):
        report_left_out([], cached_count=0, reporter=Reporter(None))
