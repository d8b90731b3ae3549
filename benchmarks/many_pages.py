"""How a server fares with many open pages: python -m benchmarks.many_pages ADDRESS SERVER_PID [PAGES] [SECONDS].

Does what so many pages do while nobody touches them: each holds the event stream open and asks for the list of runs,
and for the machine's use, as often as the page's scripts do. Tells meanwhile how long a further page waits for the
whole document and for the list of runs, and the processor time of the server in percent of one core.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time

import httpx
import psutil

RUN_LIST_S = 3.0  # INTERVAL_MS of run_list.js
MACHINE_S = 3.0  # INTERVAL_MS of machine.js
LOOK_S = 0.5


async def main(address: str, server_pid: int, pages: int, seconds: float) -> None:
    """Print the longest and the median answering times of the further page, and the server's share of a core."""
    server = psutil.Process(server_pid)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=httpx.Limits(max_connections=None)) as client:
        idle = [asyncio.create_task(idle_page(client)) for _ in range(pages)]
        await asyncio.sleep(MACHINE_S + RUN_LIST_S)
        before, began = sum(server.cpu_times()[:2]), time.monotonic()
        waits = {path: await answering_times(client, path, seconds / 2) for path in ("/", "/runs")}
        share = 100 * (sum(server.cpu_times()[:2]) - before) / (time.monotonic() - began)
        for task in idle:
            task.cancel()
        await asyncio.gather(*idle, return_exceptions=True)
    for path, times in waits.items():
        print(f"{pages} pages: {path} in {statistics.median(times):.3f} s, at most {max(times):.3f} s")
    print(f"{pages} pages: server {share:.1f} % of one core")


async def idle_page(client: httpx.AsyncClient) -> None:
    """What one page asks for until it is closed; the pages do not ask at the same moment."""
    await asyncio.sleep(random.uniform(0, RUN_LIST_S))
    await asyncio.gather(
        listen(client), ask_again(client, "/runs", RUN_LIST_S), ask_again(client, "/machine", MACHINE_S)
    )


async def listen(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", "/events/run") as stream:
        async for _ in stream.aiter_bytes():
            pass


async def ask_again(client: httpx.AsyncClient, path: str, interval: float) -> None:
    while True:
        (await client.get(path)).raise_for_status()
        await asyncio.sleep(interval)


async def answering_times(client: httpx.AsyncClient, path: str, seconds: float) -> list[float]:
    """Seconds from a question to the whole answer, asked over and over for so long."""
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        (await client.get(path)).raise_for_status()
        times.append(time.monotonic() - began)
        await asyncio.sleep(LOOK_S)
    return times


if __name__ == "__main__":
    pages, seconds = [*sys.argv[3:], "100", "30"][:2] if len(sys.argv) < 5 else sys.argv[3:5]
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(pages), float(seconds)))
