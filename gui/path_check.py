"""What lies at a path that was typed into the form: `POST /paths/check` with {"option": name, "path": text}."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.config.configuration import all_options, check_values
from backend.config.options import Option
from backend.errors import ModelFileError
from backend.plan.weights_header import kind_of_file, read_header
from gui.languages import language_of
from gui.texts import texts_of

WRITTEN_FOLDERS = ("output_dir", "logging_dir")
"""Folders that a run makes where they are missing."""

WANTED_WEIGHTS = {
    "dit": "HunyuanVideo transformer",
    "vae": "HunyuanVideo VAE",
    "text_encoder1": "Llama text encoder",
    "text_encoder2": "CLIP text encoder",
    "network_weights": "LoRA",
    "base_weights": "LoRA",
}
"""The kind, in the words of `kind_of_file`, that an option's file has to be of."""

MOST_DTYPES = 3


async def check_path(request: Request) -> JSONResponse:
    """Answers with what `describe_path` tells, in the page's language; 400 for a request that is none."""
    try:
        option, text = _read_request(await request.json())
    except ValueError as error:
        return JSONResponse({"error": str(error)}, status_code=400)
    told, texts = await run_in_threadpool(describe_path, option, text), texts_of(language_of(request))
    kinds = {name: texts.message(told[name]) for name in ("about", "wanted") if name in told}
    return JSONResponse({**told, **kinds})


def describe_path(option: Option, text: str) -> dict[str, Any]:
    """What lies there. finding: "" if it is what the option wants, else the name of what is wrong.

    kind: "file", "folder" or "nothing"; size: of a file, in bytes. Of weights also about, the model family as
    `kind_of_file` names it, and dtypes, those of most of the numbers first.
    """
    path = _as_meant(option, text)
    if path is None:
        return {"kind": "nothing", "size": None, "finding": "missing"}
    try:
        kind = "folder" if path.is_dir() else "file" if path.is_file() else "nothing"
        size = path.stat().st_size if kind == "file" else None
    except (OSError, ValueError):  # no permission, a name that is too long, a NUL in it
        return {"kind": "nothing", "size": None, "finding": "unreadable"}
    told = {"kind": kind, "size": size, "finding": _finding(option, kind)}
    if kind == "file" and path.suffix == ".safetensors" and not told["finding"]:
        told |= _about_weights(option, path)
    return told


def _read_request(body: Any) -> tuple[Option, str]:
    """The option and the path. Raises ValueError for anything else."""
    name, text = (body.get("option"), body.get("path")) if isinstance(body, dict) else (None, None)
    declared = all_options().get(name) if isinstance(name, str) else None
    if declared is None or not declared.path or not isinstance(text, str) or not text.strip():
        raise ValueError('wanted {"option": the name of an option that is a path, "path": text}')
    return declared, text


def _as_meant(option: Option, text: str) -> Path | None:
    """The path as a run would take it, without quotes and blanks around it and with ~ written out; None for none."""
    value = check_values({option.name: [text] if option.kind == "list" else text})[option.name]
    meant = value[0] if option.kind == "list" else value
    return Path(meant) if meant else None


def _finding(option: Option, kind: str) -> str:
    if kind == "nothing":
        return "made" if option.name in WRITTEN_FOLDERS else "missing"
    if kind not in option.path:
        return "not_a_file" if kind == "folder" else "not_a_folder"
    return ""


def _about_weights(option: Option, path: Path) -> dict[str, Any]:
    """The model family and the types of the numbers, from the file's header."""
    try:
        tensors, _ = read_header(path)
    except ModelFileError:
        return {"finding": "damaged"}
    numbers: Counter[str] = Counter()
    for tensor in tensors.values():
        numbers[tensor.dtype] += prod(tensor.shape)
    about = kind_of_file(tensors)
    wanted = WANTED_WEIGHTS.get(option.name, about)
    dtypes = [dtype for dtype, _ in numbers.most_common(MOST_DTYPES)]
    return {"about": about, "dtypes": dtypes, "wanted": wanted, "finding": "" if about == wanted else "other_weights"}
