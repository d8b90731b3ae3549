"""One web application for all under the page's address (page, TensorBoard, events, files), and its server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import gradio as gr
import httpx
import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from gui.dataset_items import DatasetLooks
from gui.guard import Guard
from gui.languages import PageInLanguages
from gui.machine import Machine
from gui.path_prefix import PathPrefix
from gui.routes import routes
from gui.run_list import RunList
from gui.tensorboard import TensorBoard
from gui.tensorboard_logs import LogLinks
from gui.texts import LANGUAGES, Texts, texts_of
from gui.wandb_runs import WandbSync


def build_application(
    build_page: Callable[[Path, Texts], gr.Blocks],
    *,
    workspace: Path,
    host: str = "127.0.0.1",
    login: str = "",
    prefix: str = "",
    appearance: Callable[[Texts], Mapping[str, object]] = lambda texts: {},
) -> FastAPI:
    """The page in every language with everything around it, guarded.

    host: what it is served on. login: "USER:PASSWORD", or "" for none. prefix: path under which a reverse proxy serves
    it, `/loom`, or "" for none.
    appearance: theme, css_paths, head, favicon_path, ... as `gr.mount_gradio_app` takes them.
    """
    application = FastAPI(lifespan=_lifespan, routes=routes(), docs_url=None, redoc_url=None, openapi_url=None)
    application.state.workspace = workspace
    application.state.log_links = LogLinks(workspace)
    application.state.tensorboard = TensorBoard(
        workspace / "logs", output=workspace / "tensorboard.log", find_logs=application.state.log_links.refresh
    )
    application.state.looks = DatasetLooks(workspace)
    application.state.wandb_sync = WandbSync(workspace)
    application.state.run_list = RunList(workspace)
    application.state.machine = Machine(workspace)
    application.state.stopping = asyncio.Event()
    application.add_middleware(Guard, host=host, login=login)
    if prefix:
        application.add_middleware(PathPrefix, prefix=prefix)  # the last one added is asked first
    pages = {}
    for language in LANGUAGES:
        texts = texts_of(language)
        pages[language] = _gradio_application(build_page(workspace, texts), appearance(texts), prefix=prefix)
    application.state.pages = PageInLanguages(pages)
    application.mount("/", application.state.pages)  # last: it takes every path that is left
    return application


def _gradio_application(page: gr.Blocks, appearance: Mapping[str, object], *, prefix: str) -> FastAPI:
    _calm_queue(page)
    return gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path="/",
        root_path=prefix or None,
        app_kwargs={"openapi_url": None},
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        **appearance,
    )


def serve(application: FastAPI, listener: socket.socket, *, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve on the socket until Ctrl+C or SIGTERM. on_ready is called once the page really answers."""
    try:
        PageServer(application, listener, on_ready=on_ready).run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn raises it again after it has ended everything
        return


class PageServer(uvicorn.Server):
    """Uvicorn on a socket of ours: it says when the page really answers, and does not wait for endless answers."""

    def __init__(self, application: FastAPI, listener: socket.socket, *, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(application, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        )
        self._listener = listener
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await _ask_for_page(self._listener)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        _end_streams(self.config.app)
        await super().shutdown(sockets)


async def _ask_for_page(listener: socket.socket) -> None:
    """Wait for the first answer, which makes Gradio put the page together; a refusal for want of a login is one too."""
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as client:
        answer = await client.get(httpx.URL(scheme="http", host=name, port=port, path="/"))
    if answer.is_server_error:
        raise RuntimeError(f"the page cannot be shown: {answer.status_code} {answer.text}")


def _end_streams(application: FastAPI) -> None:
    """Let the endless answers end, ours and Gradio's, as the server waits for them before it stops."""
    application.state.stopping.set()
    for route in (route for page in application.state.pages.pages.values() for route in page.routes):
        stop_event = getattr(getattr(route, "app", None), "stop_event", None)  # Gradio's, private
        if isinstance(stop_event, asyncio.Event):
            stop_event.set()


@asynccontextmanager
async def _lifespan(application: FastAPI) -> AsyncIterator[None]:
    async with application.state.pages.lifespan():
        try:
            yield
        finally:
            await run_in_threadpool(application.state.looks.close)
            await application.state.wandb_sync.close()
            await application.state.tensorboard.close()


def _calm_queue(page: gr.Blocks) -> None:
    """Let Gradio's queue look for work 20 times a second instead of 1,000, and for progress, of which it is told none
    here, once instead of 100 times. There is a queue for each language: idle, they take 0.6 % of a core instead of 7.
    """
    queue = getattr(page, "_queue", None)  # both are private: a later Gradio may do without them
    for name, seconds in (("sleep_when_free", 0.05), ("progress_update_sleep_when_free", 1.0)):
        if hasattr(queue, name):
            setattr(queue, name, seconds)
