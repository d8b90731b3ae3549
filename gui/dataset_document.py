"""The dataset file as a form, stateless: each answer holds the whole text, and each question brings it along.

GET  /dataset/document?path=PATH                the file, or an empty one where there is none yet
POST /dataset/document  {text, operations}      the text with these changes made
POST /dataset/save      {path, text}            written, if it has no mistake
POST /dataset/propose   {folder}                datasets for what lies in a folder
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backend.config.dataset_document import DatasetDocument, DatasetField, dataset_fields
from backend.config.dataset_problems import DatasetProblem
from backend.dataset.propose import propose_datasets
from backend.errors import DatasetError, Problem
from gui.json_requests import answering, body_of, tell_problems
from gui.languages import language_of
from gui.roots import allowed_roots, is_inside
from gui.texts import Texts, texts_of

KINDS = ("general", "image", "video")


@answering
async def get_document(request: Request) -> Response:
    """The document at ?path=, empty where there is no such file; `exists` tells which."""
    path = allowed_path(request, request.query_params.get("path", ""))
    document = DatasetDocument.read(path) if path.is_file() else DatasetDocument()
    return JSONResponse({"path": str(path), "exists": path.is_file(), **_told(document, _texts(request))})


@answering
async def change_document(request: Request) -> Response:
    """The text after operations, each one of {"set": [number, key, text]}, {"add": values} and {"remove": number}.

    A text that a field holds becomes a value as the key wants it; one that cannot is kept as a text and is a problem.
    """
    body = await body_of(request, text=str, operations=list)
    document = DatasetDocument(body["text"])
    for operation in body["operations"]:
        _operate(document, operation)
    return JSONResponse(_told(document, _texts(request)))


@answering
async def save_document(request: Request) -> Response:
    """Write the document; 422 with every mistake, and nothing is written, if it has any."""
    body = await body_of(request, path=str, text=str)
    path = allowed_path(request, body["path"])
    DatasetDocument(body["text"]).save(path)
    return JSONResponse({"path": str(path), "problems": []})


@answering
async def propose(request: Request) -> Response:
    """Datasets for a folder, and a file that they could be saved in, which is not there yet.

    Answers {"datasets": [{"kind", "values", "counted", "unreadable"}], "file"}; the file, and caches of a folder that
    is read-only, lie in the workspace.
    """
    folder = allowed_path(request, (await body_of(request, folder=str))["folder"])
    workspace = Path(request.app.state.workspace).absolute()
    proposed = await run_in_threadpool(propose_datasets, folder, cache_root=workspace / "caches")
    file = _free_file(workspace / "datasets", folder.name or "dataset")
    return JSONResponse({"datasets": [vars(each) for each in proposed], "file": str(file)})


def _free_file(folder: Path, stem: str) -> Path:
    names = (f"{stem}{f' {number}' if number > 1 else ''}.toml" for number in count(1))
    return next(path for name in names if not (path := folder / name).exists())


def allowed_path(request: Request, text: str) -> Path:
    """The absolute path that a request names. Raises DatasetError if the page may not look there."""
    if not text.strip():
        raise DatasetError("no path is given", hint="type one, from the drive or the root on")
    path = Path(text.strip()).expanduser()
    check_allowed([path], request.app.state.workspace)
    return path.absolute()


def check_allowed(paths: Sequence[Path], workspace: Path) -> None:
    """Raise DatasetError naming each path that lies outside of the folders that the page may look into."""
    roots = allowed_roots(workspace)
    outside = [path for path in paths if not is_inside(path.absolute().resolve(), roots)]
    if outside:
        raise DatasetError.of(
            Problem(f"{path}: lies where this page may not look", "allow its folder in Settings") for path in outside
        )


def tell_dataset_problems(problems: Sequence[Problem], texts: Texts) -> list[dict[str, Any]]:
    """Each problem with its severity and place."""
    return [
        {
            **told,
            "severity": problem.severity,
            "dataset": problem.dataset if isinstance(problem, DatasetProblem) else None,
            "key": problem.key if isinstance(problem, DatasetProblem) else "",
        }
        for problem, told in zip(problems, tell_problems(problems, texts), strict=True)
    ]


def value_of(key: str, text: str) -> Any:
    """What a field's text stands for: None where it is empty, else a value of the key's type, or the text itself."""
    text = text.strip()
    if not text:
        return None
    kind = _kinds().get(key, "string")
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    if kind == "array":
        return _numbers(text)
    if kind == "size":
        numbers = _numbers(text)
        return numbers[0] if isinstance(numbers, list) and len(numbers) == 1 else numbers
    if kind == "integer" and re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if kind == "number":
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _numbers(text: str) -> list[int] | str:
    """The whole numbers in "512, 384", "[512 384]" or "512x384"; the text where anything else is in it."""
    numbers = [part for part in re.split(r"[\s,x×]+", text.strip("[]")) if part]
    return [int(number) for number in numbers] if all(map(str.isdecimal, numbers)) else text


def _operate(document: DatasetDocument, operation: Any) -> None:
    try:
        match operation:
            case {"set": [int(number), str(key), str(text)]}:
                document.set(number, key, value_of(key, text))
            case {"add": dict(values)}:
                document.add(values)
            case {"remove": int(number)}:
                document.remove(number)
            case _:
                raise DatasetError(f"{operation}: not an operation")
    except (KeyError, IndexError) as error:
        raise DatasetError(f"{operation}: {error}") from error


def _told(document: DatasetDocument, texts: Texts) -> dict[str, Any]:
    """The text with what a form of it needs: [general] and each dataset with all keys that they can have."""
    general = document.general
    tables = [_table("general", general, {}, texts)]
    for number, values in enumerate(document.datasets, start=1):
        tables.append(_table(document.kind(number), values, general, texts))
    return {"text": document.text, "tables": tables, "problems": tell_dataset_problems(document.problems(), texts)}


def _table(kind: str | None, values: Mapping[str, Any], general: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """One table; a dataset that names no folder yet has the keys of one of pictures."""
    declared = dataset_fields(kind or "image")
    return {
        "kind": kind,
        "fields": [_field(each, values, general.get(each.key, each.default), texts) for each in declared],
    }


def _field(declared: DatasetField, values: Mapping[str, Any], inherited: Any, texts: Texts) -> dict[str, Any]:
    """One key of a table: what stands there, and what counts where nothing does."""
    is_choice = _kind(declared) == "boolean"
    return {
        "key": declared.key,
        "label": texts(f"dataset_keys.{declared.key}.label"),
        "help": texts(f"dataset_keys.{declared.key}.help"),
        "choices": ["true", "false"] if is_choice else declared.schema.get("enum"),
        "text": _text(values.get(declared.key)),
        "inherited": _text(inherited),
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


@lru_cache(maxsize=1)
def _kinds() -> dict[str, str]:
    return {declared.key: _kind(declared) for kind in KINDS for declared in dataset_fields(kind)}


def _kind(declared: DatasetField) -> str:
    """The JSON type of a key: boolean, array, integer, number or string; "size" for two numbers, or one for both."""
    variants = declared.schema.get("anyOf", [declared.schema])
    return "size" if "prefixItems" in variants[0] else str(variants[0].get("type", "string"))


def _texts(request: Request) -> Texts:
    return texts_of(language_of(request))
