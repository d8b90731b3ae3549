"""How far a caching pass has come: on the console as a bar and a line for each batch, and in the run's status."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

from tqdm import tqdm

from backend.errors import DatasetError, Problem, StoppedByUser, UserError
from backend.runs.status import Reporter

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called after each batch with the items done, the items in all, and what was just done."""


def ignore_progress(_done: int, _total: int, _text: str) -> None:
    """For callers that do not want to know."""


@contextmanager
def shown_progress(
    title: str, *, total: int, reporter: Reporter, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """A `Progress` that prints and reports; it raises StoppedByUser after the batch in which a stop was asked for.

    The time left follows from the speed since the pass began, which is now; clock gives seconds.
    """
    began = clock()
    reporter.update(step=0, total_steps=total, message=title, time_left_s=None)
    with tqdm(desc=title, total=total, unit="item", disable=None) as bar:  # None: no bar in a log file

        def show(done: int, total: int, text: str) -> None:
            bar.update(done - bar.n)
            tqdm.write(f"{title} {done}/{total}: {text}", file=sys.stderr)
            left = (clock() - began) / done * (total - done)
            reporter.update(step=done, total_steps=total, message=text, time_left_s=left)
            if reporter.is_requested("stop"):
                raise StoppedByUser(f"{title}: stopped after {done} of {total} items; what is cached stays")

        yield show


def print_pending(what: str, pending: int, existing: int, *, skip_existing: bool) -> None:
    """What there is to do: "latents: 3 to encode, 95 there already"."""
    there = f"{existing} there already" if skip_existing else "those that are there already anew"
    print(f"{what}: {pending} to encode, {there}", flush=True)


def report_left_out(problems: Sequence[Problem], *, cached_count: int, reporter: Reporter) -> None:
    """Tell the run's status how many items could not be cached. problems: one for each, printed already.

    cached_count: items that are cached now. Raises UserError with the problems if there is none, and DatasetError if
    there are no items at all.
    """
    if problems and not cached_count:
        raise UserError.of(replace(problem, severity="error") for problem in problems)
    if not cached_count:
        raise DatasetError(
            "the dataset's folders hold no pictures and no clips", hint="check the paths in the dataset file"
        )
    if problems:
        total = len(problems) + cached_count
        reporter.update(message=f"{len(problems)} of {total} items could not be cached, see the log")


def print_stale(stale: Sequence[Problem]) -> None:
    """Why caches that are there are made anew, one line for each; of more than 20 the number of the others."""
    for problem in stale[:20]:
        print(f"cached anew: {problem.message}")
    if len(stale) > 20:
        print(f"cached anew: {len(stale) - 20} others")


def print_problems(problems: Iterable[Problem]) -> None:
    """One line for each problem, where errors are expected."""
    for problem in problems:
        print(f"{problem.severity}: {problem}", file=sys.stderr)
