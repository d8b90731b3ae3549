"""How much an open page slows a training: python -m benchmarks.page_slowdown ADDRESS RUN_FOLDER [ROUNDS].

Counts the steps of a running training in turn without a page and with its Monitor open in a Chromium. The training
keeps to the first core and the browser, which is the user's own, to the second; server and TensorBoard run where the
system puts them. For Linux with two cores or more.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from launch import find_chromium

WINDOW_S = 25.0
SETTLE_S = 6.0


def main(address: str, run: Path, rounds: int) -> None:
    """Print the steps a second of each round and how many fewer there are with a page, in percent."""
    trainer = json.loads((run / "status.json").read_text(encoding="utf-8"))["process"]["pid"]
    cores = os.sched_getaffinity(trainer)
    keep_to(trainer, cores={0})
    slower = []
    for _ in range(rounds):
        time.sleep(SETTLE_S)
        without = steps_a_second(run / "metrics.jsonl")
        with open_page(address):
            time.sleep(SETTLE_S)
            with_page = steps_a_second(run / "metrics.jsonl")
        slower.append(100 * (1 - with_page / without))
        print(f"{without:.3f} steps/s without a page, {with_page:.3f} with one: {slower[-1]:.2f} % slower", flush=True)
    keep_to(trainer, cores=cores)
    print(f"median of {rounds}: {statistics.median(slower):.2f} % slower")


def steps_a_second(metrics: Path) -> float:
    """Of the steps that end from now on in WINDOW_S seconds, by the times that the trainer wrote."""
    began = time.time()
    time.sleep(WINDOW_S)
    times = [json.loads(line)["time"] for line in metrics.read_text(encoding="utf-8").splitlines()]
    own = times[bisect_left(times, began) :]
    return (len(own) - 1) / (own[-1] - own[0])


@contextmanager
def open_page(address: str) -> Iterator[Page]:
    """The page at Monitor, in a browser that keeps to the second core."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium() or None, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        page.get_by_role("tab", name="Monitor").click()
        for process in psutil.Process().children(recursive=True):
            keep_to(process.pid, cores={1})
        yield page
        browser.close()


def keep_to(pid: int, *, cores: Iterable[int]) -> None:
    """Let all threads of a process run on these cores alone."""
    for thread in psutil.Process(pid).threads():
        os.sched_setaffinity(thread.id, cores)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int((sys.argv[3:4] or ["8"])[0]))
