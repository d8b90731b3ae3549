"""Every address of the page beside Gradio's own, and who answers it."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from gui import tensorboard
from gui.dataset_caching import start_caching
from gui.dataset_captions import get_words, preview_captions, undo_captions, write_caption, write_captions
from gui.dataset_document import change_document, get_document, propose, save_document
from gui.dataset_items import (
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
from gui.form_changes import change_fields, run_fields
from gui.loaded_preset import loaded_preset
from gui.lora_facts import get_facts
from gui.lora_runs import list_lora_runs, lora_result, start_lora_run
from gui.machine import machine_use
from gui.module_map import click_modules, module_map
from gui.path_check import check_path
from gui.run_actions import ask_run, cancel_run, hold_run, move_run, release_run, stop_run
from gui.run_comparison import differing_settings, run_curves
from gui.run_history import delete, erase, list_bin, note, restore, resume, run_details, start_again
from gui.run_list import list_runs_since, list_trainings
from gui.run_log import log_page, search_log
from gui.run_samples import run_sample, run_samples
from gui.settings_routes import get_settings, post_settings, support_bundle
from gui.tensorboard_logs import NAMES_PATH, NOT_SHOWN_PATH, log_names, logs_not_shown
from gui.wandb_runs import run_in_wandb, sync_run, wandb_login

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


def routes() -> list[BaseRoute]:
    """In the order in which they are tried."""
    mimetypes.add_type("text/javascript", ".js")  # Windows' registry may call it text/plain, which no browser runs
    return [
        Route("/events/run", run_events),
        Route("/form/fields", change_fields, methods=["POST"]),
        Route("/runs/{name}/fields", run_fields),
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
