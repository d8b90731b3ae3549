"""One web application for all under the page's address (page, TensorBoard, events, files), and its server."""

from __future__ import annotations

import asyncio
import mimetypes
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import gradio as gr
import httpx
import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from gui import tensorboard
from gui.dataset_caching import start_caching
from gui.dataset_captions import get_words, preview_captions, undo_captions, write_caption, write_captions
from gui.dataset_document import change_document, get_document, propose, save_document
from gui.dataset_items import (
    DatasetLooks,
    get_inspection,
    get_item,
    get_items,
    get_media,
    get_seen,
    get_thumbnail,
)
from gui.events import run_events
from gui.files import workspace_file
from gui.folder_browser import list_paths
from gui.form_changes import change_form, run_to_form
from gui.guard import Guard
from gui.languages import PageInLanguages
from gui.loaded_preset import loaded_preset
from gui.lora_facts import get_facts
from gui.lora_runs import list_lora_runs, lora_result, start_lora_run
from gui.machine import Machine, machine_use
from gui.module_map import click_modules, module_map
from gui.path_check import check_path
from gui.path_prefix import PathPrefix
from gui.run_actions import ask_run, cancel_run, hold_run, move_run, release_run, stop_run
from gui.run_comparison import differing_settings, run_curves
from gui.run_history import delete, erase, list_bin, note, restore, resume, run_details, start_again
from gui.run_list import RunList, list_runs_since, list_trainings
from gui.run_log import log_page, search_log
from gui.run_samples import run_sample, run_samples
from gui.settings_routes import get_settings, post_settings, support_bundle
from gui.tensorboard import TensorBoard
from gui.tensorboard_logs import NAMES_PATH, NOT_SHOWN_PATH, LogLinks, log_names, logs_not_shown
from gui.texts import LANGUAGES, Texts, texts_of
from gui.wandb_runs import WandbSync, run_in_wandb, sync_run, wandb_login

ASSETS_PATH = "/loom"
"""Where gui/assets is served; /assets is taken by Gradio's own scripts."""

CLOSED_PATHS = (
    "/openapi.json",
    "/gradio_api/openapi.json",
    "/gradio_api/runs",
    "/gradio_api/deep_link",
    "/gradio_api/vibe-code",
    "/monitoring",
    "/monitoring/{rest:path}",
)
"""Parts of Gradio that nobody here needs and that would show others what the user does."""


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
    application = FastAPI(lifespan=_lifespan, routes=_routes(), docs_url=None, redoc_url=None, openapi_url=None)
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


def _routes() -> list[BaseRoute]:
    mimetypes.add_type("text/javascript", ".js")  # Windows' registry may call it text/plain, which no browser runs
    return [
        Route("/events/run", run_events),
        Route("/form/changes", change_form, methods=["POST"]),
        Route("/runs/{name}/to_form", run_to_form, methods=["POST"]),
        Route("/runs/{name}/stop", stop_run, methods=["POST"]),
        Route("/runs/{name}/ask/{what}", ask_run, methods=["POST"]),
        Route("/runs/{name}/cancel", cancel_run, methods=["POST"]),
        Route("/runs/{name}/hold", hold_run, methods=["POST"]),
        Route("/runs/{name}/release", release_run, methods=["POST"]),
        Route("/runs/{name}/move", move_run, methods=["POST"]),
        Route("/runs", list_runs_since),
        Route("/trainings", list_trainings),
        Route("/settings/differing", differing_settings),
        Route("/runs/{name}/details", run_details),
        Route("/runs/{name}/metrics", run_curves),
        Route("/runs/{name}/again", start_again, methods=["POST"]),
        Route("/runs/{name}/resume", resume, methods=["POST"]),
        Route("/runs/{name}/notes", note, methods=["POST"]),
        Route("/runs/{name}/delete", delete, methods=["POST"]),
        Route("/runs/{name}/log", log_page),
        Route("/runs/{name}/log/search", search_log),
        Route("/wandb", wandb_login),
        Route("/runs/{name}/wandb", run_in_wandb),
        Route("/runs/{name}/wandb/sync", sync_run, methods=["POST"]),
        Route("/bin", list_bin),
        Route("/bin/{name}/restore", restore, methods=["POST"]),
        Route("/bin/{name}/erase", erase, methods=["POST"]),
        Route("/machine", machine_use),
        Route("/runs/{name}/samples", run_samples),
        Route("/runs/{name}/samples/{file}", run_sample),
        Route("/files/{path:path}", workspace_file),
        Route("/dataset/document", get_document),
        Route("/dataset/document", change_document, methods=["POST"]),
        Route("/dataset/save", save_document, methods=["POST"]),
        Route("/dataset/propose", propose, methods=["POST"]),
        Route("/dataset/inspection", get_inspection),
        Route("/dataset/items", get_items),
        Route("/dataset/item", get_item),
        Route("/dataset/thumbnail", get_thumbnail),
        Route("/dataset/seen", get_seen),
        Route("/dataset/media", get_media),
        Route("/dataset/caption", write_caption, methods=["POST"]),
        Route("/dataset/captions/preview", preview_captions, methods=["POST"]),
        Route("/dataset/captions/write", write_captions, methods=["POST"]),
        Route("/dataset/captions/undo", undo_captions, methods=["POST"]),
        Route("/dataset/words", get_words),
        Route("/dataset/cache", start_caching, methods=["POST"]),
        Route("/lora/facts", get_facts),
        Route("/lora/runs", list_lora_runs),
        Route("/lora/runs", start_lora_run, methods=["POST"]),
        Route("/runs/{name}/results/{file}", lora_result),
        Route("/settings", get_settings),
        Route("/settings", post_settings, methods=["POST"]),
        Route("/support.zip", support_bundle),
        Route("/form/preset", loaded_preset),
        Route("/paths/check", check_path, methods=["POST"]),
        Route("/paths/list", list_paths, methods=["POST"]),
        Route("/module_map", module_map, methods=["POST"]),
        Route("/module_map/click", click_modules, methods=["POST"]),
        Route(tensorboard.PATH, _to_tensorboard_folder),
        Route(tensorboard.PATH + "/{path:path}", _tensorboard, methods=["GET", "HEAD", "POST"]),
        Route(NOT_SHOWN_PATH, logs_not_shown),
        Route(NAMES_PATH, log_names),
        Route("/font-roboto/{name}", _to_tensorboard_font),
        Mount(ASSETS_PATH, _Assets(directory=Path(__file__).parent / "assets")),
        *(Route(path, _closed) for path in CLOSED_PATHS),
    ]


class _Assets(StaticFiles):
    """The page's own scripts and styles; a browser asks each time whether its copy is still good."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


async def _tensorboard(request: Request) -> Response:
    return await request.app.state.tensorboard.proxy(request)


async def _to_tensorboard_folder(request: Request) -> Response:
    return RedirectResponse("tensorboard/")  # relative, as the page may lie under a path prefix


async def _to_tensorboard_font(request: Request) -> Response:
    # TensorBoard's style sheet forgets the path prefix when it names its fonts.
    return RedirectResponse(f"..{tensorboard.PATH}{request.scope['path']}")


async def _closed(request: Request) -> Response:
    return PlainTextResponse("Not found.\n", status_code=404)


def _calm_queue(page: gr.Blocks) -> None:
    """Let Gradio's queue look for work 20 times a second instead of 1,000, and for progress, of which it is told none
    here, once instead of 100 times. There is a queue for each language: idle, they take 0.6 % of a core instead of 7.
    """
    queue = getattr(page, "_queue", None)  # both are private: a later Gradio may do without them
    for name, seconds in (("sleep_when_free", 0.05), ("progress_update_sleep_when_free", 1.0)):
        if hasattr(queue, name):
            setattr(queue, name, seconds)
