"""What the page costs while a training runs: python -m benchmarks.page_cost ADDRESS SERVER_PID [TAB] [SECONDS].

Opens the page at that tab in a Chromium and tells the processor time that the server and its TensorBoard used
meanwhile, in percent of one core. The browser's own is not counted.
"""

from __future__ import annotations

import sys
import time

import psutil
from playwright.sync_api import sync_playwright

from launch import find_chromium

WARM_UP_MS = 15_000


def main(address: str, server_pid: int, tab: str, seconds: float) -> None:
    """Print the server's and TensorBoard's share of one core with the page open at this tab."""
    server = psutil.Process(server_pid)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium() or None, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address)
        for name in dict.fromkeys(["TensorBoard", tab]):  # so that TensorBoard runs too
            page.get_by_role("tab", name=name).click()
            page.wait_for_timeout(WARM_UP_MS)
        before, began = processor_times(server), time.monotonic()
        page.wait_for_timeout(1000 * seconds)
        after, took = processor_times(server), time.monotonic() - began
        browser.close()
    for name in after:
        print(f"{tab}: {name}: {100 * (after[name] - before.get(name, 0.0)) / took:.2f} % of one core")


def processor_times(server: psutil.Process) -> dict[str, float]:
    """Seconds of processor time of the server, and of TensorBoard with all that it started."""
    children = [child for child in server.children(recursive=True) if child.is_running()]
    return {"server": used(server), "TensorBoard": sum(map(used, children))}


def used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *(sys.argv[3:4] or ["Monitor"]), float((sys.argv[4:5] or ["60"])[0]))
