"""Work done ahead of its use by threads, in order and with a bound on how much waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Input = TypeVar("Input")
Output = TypeVar("Output")


def map_ahead(function: Callable[[Input], Output], inputs: Iterable[Input], *, workers: int) -> Iterator[Output]:
    """function of each input, in the order of the inputs; while one result is used, the next `workers` are made.

    workers: 0 makes each when it is asked for. What the function raises is raised where its result would come.
    """
    if workers == 0:
        yield from map(function, inputs)
        return
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="ahead") as threads:
        pending: deque[Future[Output]] = deque()
        try:
            for each in inputs:
                pending.append(threads.submit(function, each))
                if len(pending) > workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:  # an error or the reader's leaving must not wait for work nobody wants
                future.cancel()
