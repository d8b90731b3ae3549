"""Work done ahead by threads."""

import threading

import pytest

from backend.dataset.read_ahead import map_ahead


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_results_come_in_the_order_of_the_inputs(workers):
    assert list(map_ahead(lambda x: x * x, range(20), workers=workers)) == [x * x for x in range(20)]


def test_no_more_than_the_workers_many_results_wait():
    taken = []
    results = map_ahead(lambda x: x, (taken.append(x) or x for x in range(100)), workers=3)
    assert next(results) == 0
    assert len(taken) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_raised_where_its_result_would_come(workers):
    results = map_ahead(lambda x: 10 // x, [5, 2, 0, 1], workers=workers)
    assert [next(results), next(results)] == [2, 5]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_two_workers_work_at_the_same_time():
    meeting = threading.Barrier(2)
    assert list(map_ahead(lambda x: meeting.wait() is not None, range(4), workers=2)) == [True] * 4
