"""What lies in a dataset file's folders: looked at in the background, given to the page in parts.

GET /dataset/inspection?path=PATH[&again=1]      how far it is; its counts when it is done
GET /dataset/items?path=PATH&start=N&count=N…    rows of the items, filtered
GET /dataset/item?path=PATH&item=N               one item with all that is known
GET /dataset/thumbnail|seen|media?path=PATH&item=N[&frame=N]
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from backend.config.configuration import Configuration
from backend.config.dataset import read_dataset_file
from backend.config.dataset_models import VideoDataset
from backend.config.schema import ModelOptions
from backend.dataset.caption_length import CaptionLimits, find_tokenizer
from backend.dataset.file_index import FileIndex
from backend.dataset.inspection import Inspection, ItemReport, Stage, inspect_datasets
from backend.dataset.item_preview import as_jpeg, crop_box, seen_by_training
from backend.dataset.thumbnail_maker import ThumbnailMaker
from backend.dataset.thumbnails import Thumbnails
from backend.errors import DatasetError, UserError
from backend.plan.encoder_names import find_encoders
from gui.dataset_document import allowed_path, check_allowed, tell_dataset_problems
from gui.files import MEDIA_TYPES
from gui.form import Draft, read_form
from gui.json_requests import answering
from gui.languages import language_of
from gui.texts import Texts, texts_of

MOST_ROWS = 500
WORKERS = 2
CACHE_HEADERS = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}


@dataclass
class Look:
    """One look at a dataset file: done of total in this stage, then the inspection or the error that ended it."""

    path: Path
    stage: Stage = "files"
    done: int = 0
    total: int = 0
    inspection: Inspection | None = None
    error: UserError | None = None
    number: int = 0
    sources: dict[int, float | None] = field(default_factory=dict)
    """source_fps of each dataset of clips."""

    @property
    def is_over(self) -> bool:
        return self.inspection is not None or self.error is not None


class DatasetLooks:
    """The looks of a workspace, one for each dataset file, each in a thread of its own."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.index = FileIndex(workspace / "index")
        self.thumbnails = ThumbnailMaker(Thumbnails(workspace / "thumbnails"))
        self._looks: dict[Path, Look] = {}
        self._lock = threading.Lock()

    def look(self, path: Path, *, again: bool = False) -> Look:
        """The look at a file, begun if there is none yet; again: begin anew unless one goes on."""
        with self._lock:
            known = self._looks.get(path)
            if known is not None and not (again and known.is_over):
                return known
            begun = self._looks[path] = Look(path, number=(known.number if known else 0) + 1)
        threading.Thread(target=self._run, args=(begun,), daemon=True, name="dataset look").start()
        return begun

    def refresh(self, path: Path) -> None:
        """Look again, and return when it is done: after captions were written, so that nobody sees old ones."""
        with self._lock:
            known = self._looks.get(path)
        begun = Look(path, number=(known.number if known else 0) + 1)
        self._run(begun)
        with self._lock:
            self._looks[path] = begun

    def inspection(self, path: Path) -> Inspection:
        """What the look has found. Raises DatasetError while it is not done."""
        look = self.look(path)
        if look.inspection is None:
            raise look.error or DatasetError(f"{path}: is still being looked at", hint="wait a moment")
        return look.inspection

    def _run(self, look: Look) -> None:
        def tell(stage: Stage, done: int, total: int) -> None:
            look.stage, look.done, look.total = stage, done, total

        try:
            file = read_dataset_file(look.path).absolute()
            check_allowed([_place(dataset) for dataset in file.datasets], self.workspace)
            look.sources = {
                number: dataset.source_fps
                for number, dataset in enumerate(file.datasets, start=1)
                if isinstance(dataset, VideoDataset)
            }
            model = self._model()
            look.inspection = inspect_datasets(
                file,
                index=self.index,
                limits=_caption_limits(model),
                encoders=find_encoders(model),
                workers=WORKERS,
                progress=tell,
            )
            self.thumbnails.want((item.path, item.media.kind) for item in look.inspection.items if item.facts)
        except UserError as error:
            look.error = error
        except Exception as error:  # a thread's end is seen by nobody else
            look.error = UserError(f"{look.path}: could not be looked at: {error}")
            raise

    def close(self) -> None:
        """End what goes on in the background."""
        self.thumbnails.close()

    def _model(self) -> ModelOptions:
        """The models that stand in the form."""
        try:
            return read_form(Draft(self.workspace).load()).model
        except UserError:
            return Configuration().model


@answering
async def get_inspection(request: Request) -> Response:
    """{"state": "running", "stage", "done", "total"}, or "done" with counts, groups, problems; 422 if that fails."""
    looks = _looks(request)
    look = looks.look(
        allowed_path(request, request.query_params.get("path", "")), again="again" in request.query_params
    )
    if look.error is not None:
        raise look.error
    if look.inspection is None:
        return JSONResponse({"state": "running", "stage": look.stage, "done": look.done, "total": look.total})
    return JSONResponse({"state": "done", "number": look.number, **_summary(look.inspection, _texts(request))})


@answering
async def get_items(request: Request) -> Response:
    """Rows from `start` on, at most MOST_ROWS, of those that `filter` (a warning's id, cached, missing, stale) and
    `search` (in names and captions) leave: {"total", "rows"}; a row's "item" is its number in the whole."""
    inspection = _inspection(request)
    query = request.query_params
    wanted = _filtered(inspection.items, wanted=query.get("filter", ""), search=query.get("search", "").casefold())
    start, count = _number(query.get("start")), min(_number(query.get("count"), MOST_ROWS), MOST_ROWS)
    return JSONResponse({"total": len(wanted), "rows": [_row(*each) for each in wanted[start : start + count]]})


@answering
async def get_item(request: Request) -> Response:
    """One item: its row, its warnings as sentences, its windows, its crop, what is wrong with its caches."""
    number, report = _report(request)
    texts = _texts(request)
    crop = crop_box(report.facts.size, report.bucket) if report.facts and report.bucket else None
    return JSONResponse(
        {
            **_row(number, report),
            "path": str(report.path),
            "warnings": [
                {
                    "id": each.id,
                    "text": texts(f"item_warnings.{each.id}", **each.values),
                    "is_harmless": each.is_harmless,
                }
                for each in report.warnings
            ],
            "windows": [[window.start, window.count] for window in report.windows],
            "crop": vars(crop) if crop else None,
            "cache_problems": tell_dataset_problems(report.cache_problems, texts),
        }
    )


@answering
async def get_thumbnail(request: Request) -> Response:
    """A small JPEG; made now if it is not there yet."""
    _, report = _report(request)
    path = await run_in_threadpool(_looks(request).thumbnails.make, report.path, report.media.kind)
    return FileResponse(path, media_type="image/jpeg", headers=CACHE_HEADERS)


@answering
async def get_seen(request: Request) -> Response:
    """A JPEG of what training sees of a picture, or of a clip's frame `frame`, resized and cropped to its bucket."""
    _, report = _report(request)
    if report.bucket is None:
        raise DatasetError(f"{report.path}: is not trained on")
    frame = _number(request.query_params.get("frame"))
    fps = _looks(request).look(_path(request)).sources.get(report.dataset_number)
    pixels = await run_in_threadpool(
        seen_by_training, report.path, report.media.kind, bucket=report.bucket, frame=frame, source_fps=fps
    )
    return Response(as_jpeg(pixels), media_type="image/jpeg", headers={"Cache-Control": "no-cache"})


@answering
async def get_media(request: Request) -> Response:
    """The picture or clip itself, in parts where the browser asks for a range."""
    _, report = _report(request)
    kind = MEDIA_TYPES.get(report.path.suffix.lower())
    if kind is None or not report.path.is_file():
        raise DatasetError(f"{report.path}: browsers do not show files of this kind")
    return FileResponse(report.path, media_type=kind, headers=CACHE_HEADERS)


def reports_of(request: Request, path: Path) -> tuple[ItemReport, ...]:
    """All items of a dataset file. Raises DatasetError while they are being looked at."""
    return _looks(request).inspection(path).items


def _caption_limits(model: ModelOptions) -> CaptionLimits:
    """The tokenizers of the text encoders."""
    files = [Path(path) if path else None for path in (model.text_encoder1, model.text_encoder2)]
    return CaptionLimits(*(find_tokenizer(path) if path and path.exists() else None for path in files))


def _summary(inspection: Inspection, texts: Texts) -> dict[str, Any]:
    warnings: dict[str, int] = {}
    for report in inspection.items:
        for warning in report.warnings:
            warnings[warning.id] = warnings.get(warning.id, 0) + 1
    caches = [report.cache for report in inspection.items]
    return {
        "items": len(inspection.items),
        "pictures": sum(report.media.kind == "image" for report in inspection.items),
        "cached": caches.count("cached"),
        "missing": caches.count("missing"),
        "stale": caches.count("stale"),
        "warnings": [
            {"id": name, "label": texts(f"item_labels.{name}"), "count": count} for name, count in warnings.items()
        ],
        "groups": [
            {
                "dataset": group.dataset_number,
                "bucket": list(group.bucket),
                "frames": group.frame_count,
                "items": len(group.items),
                "repeats": group.num_repeats,
                "batch_size": group.batch_size,
                "batches": group.batch_count,
            }
            for group in inspection.groups
        ],
        "batches": inspection.batches_per_epoch,
        "problems": tell_dataset_problems(inspection.problems, texts),
    }


def _filtered(items: Iterable[ItemReport], *, wanted: str, search: str) -> list[tuple[int, ItemReport]]:
    return [
        (number, report)
        for number, report in enumerate(items)
        if (not wanted or wanted == report.cache or any(warning.id == wanted for warning in report.warnings))
        and (not search or search in report.path.name.casefold() or search in (report.caption or "").casefold())
    ]


def _row(number: int, report: ItemReport) -> dict[str, Any]:
    facts = report.facts
    return {
        "item": number,
        "dataset": report.dataset_number,
        "name": report.path.name,
        "kind": report.media.kind,
        "size": list(facts.size) if facts else None,
        "frames": facts.frames if facts else None,
        "fps": facts.fps if facts else None,
        "seconds": facts.duration_s if facts else None,
        "caption": report.caption,
        "bucket": list(report.bucket) if report.bucket else None,
        "wanted": report.wanted,
        "ready": report.ready,
        "cache": report.cache,
        "doubts": sum(not warning.is_harmless for warning in report.warnings),
    }


def _report(request: Request) -> tuple[int, ItemReport]:
    items = _inspection(request).items
    number = _number(request.query_params.get("item"), -1)
    if not 0 <= number < len(items):
        raise DatasetError(f"there is no item {number} of {len(items)}", hint="look at the folders again")
    return number, items[number]


def _inspection(request: Request) -> Inspection:
    return _looks(request).inspection(_path(request))


def _path(request: Request) -> Path:
    return allowed_path(request, request.query_params.get("path", ""))


def _place(dataset: Any) -> Path:
    return dataset.media_directory or dataset.jsonl_file


def _number(text: str | None, default: int = 0) -> int:
    return int(text) if text and text.isdecimal() else default


def _looks(request: Request) -> DatasetLooks:
    return request.app.state.looks


def _texts(request: Request) -> Texts:
    return texts_of(language_of(request))
