"""The stream that keeps every open page up to date: `/events/run?run=NAME`, server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from backend.runs.folder import find_run
from gui.languages import language_of
from gui.run_feed import CURRENT, RunFeed
from gui.texts import texts_of

POLL_S = 0.5
HEARTBEAT_S = 15.0


async def run_events(request: Request) -> Response:
    """Answer with the stream of one run, or of the current one, from where the page (Last-Event-ID) stopped.

    The application's state says where the workspace is, and when the server stops.
    """
    workspace: Path = request.app.state.workspace
    run = request.query_params.get("run", CURRENT)
    if run != CURRENT and find_run(workspace, run) is None:
        return PlainTextResponse(f"There is no run {run!r}.\n", status_code=404)
    texts = texts_of(language_of(request))
    last_event_id = request.headers.get("last-event-id", "")
    run_list = request.app.state.run_list
    feed = RunFeed(workspace, run=run, last_event_id=last_event_id, texts=texts, run_list=run_list)
    return StreamingResponse(
        _stream(feed, stopping=request.app.state.stopping),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _stream(feed: RunFeed, *, stopping: asyncio.Event) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    yield "retry: 1000\n\n"
    last_sent = loop.time()
    while not stopping.is_set():
        events = await anyio.to_thread.run_sync(feed.news)
        if events:
            yield "".join(events)
            last_sent = loop.time()
        elif loop.time() - last_sent >= HEARTBEAT_S:
            yield ": still here\n\n"  # so that a page that has gone is noticed
            last_sent = loop.time()
        if not feed.has_more:
            await _pause(stopping)


async def _pause(stopping: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), POLL_S)
    except asyncio.TimeoutError:
        return
