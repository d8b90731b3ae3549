"""Work done ahead by threads."""

import threading

import pytest

from backend.dataset.read_ahead import map_ahead, stream_ahead


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


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_streams_follow_one_another_in_the_order_of_their_inputs(workers):
    assert list(stream_ahead(range, [3, 0, 50, 2], workers=workers)) == [*range(3), *range(50), 0, 1]


def test_of_a_stream_no_more_than_two_outputs_are_held():
    made = []

    def count(_):
        for number in range(100):
            made.append(number)
            yield number

    stream = stream_ahead(count, [0], workers=1)
    assert next(stream) == 0
    stream.close()
    assert len(made) <= 3


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_stream_is_raised_behind_what_came_before(workers):
    stream = stream_ahead(lambda limit: (10 // x for x in range(limit, -1, -1)), [2], workers=workers)
    assert [next(stream), next(stream)] == [5, 10]
    with pytest.raises(ZeroDivisionError):
        next(stream)


def test_small_inputs_are_begun_further_ahead_than_there_are_workers():
    taken = []
    results = stream_ahead(lambda x: iter([x]), (taken.append(x) or x for x in range(100)), workers=1, ahead=8)
    assert next(results) == 0
    assert len(taken) == 9
