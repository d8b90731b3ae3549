"""Work done ahead of its use by threads, in order and with a bound on how much waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Generic, TypeVar

Input = TypeVar("Input")
Output = TypeVar("Output")

_HELD_A_STREAM = 2  # one that is ready and one that is being made
_LOOK_UP_S = 0.1  # how often a thread that waits for room asks whether it is still wanted


def map_ahead(function: Callable[[Input], Output], inputs: Iterable[Input], *, workers: int) -> Iterator[Output]:
    """function of each input, in the order of the inputs; while one result is used, the next `workers` are made.

    workers: 0 makes each when it is asked for. What the function raises is raised where its result would come.
    """
    return stream_ahead(lambda each: (function(each),), inputs, workers=workers)


def stream_ahead(
    function: Callable[[Input], Iterable[Output]], inputs: Iterable[Input], *, workers: int, ahead: int | None = None
) -> Iterator[Output]:
    """All that function gives for each input, in the order of the inputs, made by so many threads.

    ahead: inputs that are begun before their turn, at least as many as workers, which is the default; of each at most
    two outputs are held. workers: 0 makes each output when it is asked for. What the function raises is raised where
    its output would come.
    """
    if workers == 0:
        for each in inputs:
            yield from function(each)
        return
    ahead = max(workers, ahead or 0)
    stopped = threading.Event()
    pending: deque[_Stream[Output]] = deque()
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="ahead") as threads:
        try:
            for each in inputs:
                stream: _Stream[Output] = _Stream(stopped)
                threads.submit(stream.fill, function, each)
                pending.append(stream)
                if len(pending) > ahead:
                    yield from pending.popleft().drain()
            while pending:
                yield from pending.popleft().drain()
        finally:  # an error or the reader's leaving must not wait for work nobody wants
            stopped.set()


class _Stream(Generic[Output]):
    """What one call gives, handed from the thread that makes it to the one that uses it."""

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._room = threading.Semaphore(_HELD_A_STREAM)
        self._ready: SimpleQueue[tuple[Output] | BaseException | None] = SimpleQueue()

    def fill(self, function: Callable[[Input], Iterable[Output]], each: Input) -> None:
        """Runs in a worker thread; ends early once nobody wants the rest."""
        try:
            outputs = iter(() if self._stopped.is_set() else function(each))
            while self._has_room():
                self._ready.put((next(outputs),))
        except StopIteration:
            self._ready.put(None)
        except BaseException as error:
            self._ready.put(error)

    def drain(self) -> Iterator[Output]:
        """Each output as it gets ready."""
        while (ready := self._ready.get()) is not None:
            if isinstance(ready, BaseException):
                raise ready
            yield ready[0]
            self._room.release()

    def _has_room(self) -> bool:
        while not self._room.acquire(timeout=_LOOK_UP_S):
            if self._stopped.is_set():
                return False
        return not self._stopped.is_set()
