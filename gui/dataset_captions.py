"""Captions changed on the page: one at a time, or many with a preview; every edit can be undone.

POST /dataset/caption           {path, item, caption}                 one caption, written at once
POST /dataset/captions/preview  {path, change}                        what a change would do
POST /dataset/captions/write    {path, change, count}                 the same, written
POST /dataset/captions/undo     {path}
GET  /dataset/words?path=PATH                                         words and phrases, how often each
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backend.dataset.caption_files import CaptionFiles
from backend.dataset.captions import (
    CaptionChange,
    add_trigger,
    captions_from_names,
    phrase_counts,
    replace_in_captions,
    set_caption,
    word_counts,
)
from backend.dataset.items import MediaItem
from backend.errors import DatasetError
from gui.dataset_document import allowed_path
from gui.dataset_items import reports_of
from gui.json_requests import answering, body_of
from gui.languages import language_of
from gui.texts import texts_of

MOST_SHOWN = 200
MOST_WORDS = 100


@answering
async def write_caption(request: Request) -> Response:
    """Write the caption of one item. Answers {"written", "undo"}: what undo would take back."""
    body = await body_of(request, path=str, item=int, caption=str)
    items = _items(request, body["path"])
    if not 0 <= body["item"] < len(items):
        raise DatasetError(f"there is no item {body['item']} of {len(items)}", hint="look at the folders again")
    changes = set_caption(items[body["item"]], body["caption"])
    return await _written(request, body["path"], changes, what=items[body["item"]].path.name)


@answering
async def preview_captions(request: Request) -> Response:
    """{"count", "changes": [{"name", "before", "after"}]}: the first MOST_SHOWN of what a change would do."""
    body = await body_of(request, path=str, change=dict)
    changes = await run_in_threadpool(_changes, _items(request, body["path"]), body["change"])
    shown = [
        {"name": change.item.path.name, "before": change.before, "after": change.after}
        for change in changes[:MOST_SHOWN]
    ]
    return JSONResponse({"count": len(changes), "changes": shown})


@answering
async def write_captions(request: Request) -> Response:
    """Write what was previewed. count: how many the preview showed; with another number nothing is written."""
    body = await body_of(request, path=str, change=dict, count=int)
    changes = await run_in_threadpool(_changes, _items(request, body["path"]), body["change"])
    if len(changes) != body["count"]:
        raise DatasetError(f"{len(changes)} captions would change, not {body['count']}", hint="look at them again")
    texts = texts_of(language_of(request))
    return await _written(request, body["path"], changes, what=texts(f"captions.kinds.{body['change']['kind']}"))


@answering
async def undo_captions(request: Request) -> Response:
    """Take the newest edit back. Answers {"undone": how many captions, "undo"}."""
    body = await body_of(request, path=str)
    files = _files(request)
    edit = await run_in_threadpool(files.undo)
    await _look_again(request, body["path"])
    return JSONResponse({"undone": edit.count if edit else 0, "undo": _newest(files)})


@answering
async def get_words(request: Request) -> Response:
    """{"words": [[word, captions], …], "phrases": …, "undo"}, the most frequent first."""
    items = _items(request, request.query_params.get("path", ""))
    captions = [item.caption for item in items if item.caption]
    words, phrases = await run_in_threadpool(lambda: (word_counts(captions), phrase_counts(captions)))
    return JSONResponse(
        {"words": words[:MOST_WORDS], "phrases": phrases[:MOST_WORDS], "undo": _newest(_files(request))}
    )


def _changes(items: Sequence[MediaItem], change: dict[str, Any]) -> list[CaptionChange]:
    match change:
        case {
            "kind": "replace",
            "find": str(find),
            "replacement": str(new),
            "is_regex": bool(regex),
            "ignore_case": bool(case),
        }:
            return replace_in_captions(items, find, new, is_regex=regex, ignore_case=case)
        case {"kind": "trigger", "word": str(word), "where": "front" | "behind" as where}:
            return add_trigger(items, word, where=where)
        case {"kind": "names"}:
            return captions_from_names(items)
    raise DatasetError("this is no change of captions")


async def _written(request: Request, path: str, changes: Sequence[CaptionChange], *, what: str) -> Response:
    files = _files(request)
    try:
        written = await run_in_threadpool(files.write, changes, what=what) if changes else 0
    finally:
        await _look_again(request, path)
    return JSONResponse({"written": written, "undo": _newest(files)})


async def _look_again(request: Request, path: str) -> None:
    await run_in_threadpool(request.app.state.looks.refresh, allowed_path(request, path))


def _newest(files: CaptionFiles) -> dict[str, Any] | None:
    edits = files.edits()
    return {"what": edits[-1].what, "count": edits[-1].count} if edits else None


def _items(request: Request, path: str) -> list[MediaItem]:
    return [report.media for report in reports_of(request, allowed_path(request, path))]


def _files(request: Request) -> CaptionFiles:
    return CaptionFiles(Path(request.app.state.workspace) / "captions.json")
