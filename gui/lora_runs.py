"""LoRA files made by runs: `POST /lora/runs`, `GET /lora/runs`, and the files, `GET /runs/NAME/results/FILE`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from backend.errors import DatasetError, ModelFileError, OptionError
from backend.plan.weights_header import kind_of_file, read_header, size_of_file
from backend.runs.folder import RunFolder, find_run
from backend.runs.history import RunRow, list_rows
from backend.runs.queue import ensure_worker
from backend.runs.tool_job import LORA_COMMANDS, submit_tool
from gui.dataset_document import allowed_path, check_allowed
from gui.json_requests import answering, body_of
from gui.languages import language_of
from gui.texts import Texts, texts_of

KIND = "lora"
MOST_RUNS = 8
ENDING = ".safetensors"

TARGETS = ("default", "comfyui", "diffusers")
PRECISIONS = ("keep", "fp32", "fp16", "bf16")


@answering
async def start_lora_run(request: Request) -> Response:
    """Queue one of LORA_COMMANDS with the texts of its form. Answers {"run": folder name}; 422 with what is wrong.

    The body: {"command", "values": {name: text}, "loras": [{"file", "strength"}] of a merge, "overwrite"}.
    """
    body = await body_of(request, command=str, values=dict, overwrite=bool)
    return JSONResponse({"run": await run_in_threadpool(_submit, request, body)})


async def list_lora_runs(request: Request) -> Response:
    """Answers {"runs": [{"run", "title", "state", "step", "total_steps", "message", "files": [...]}]}.

    The newest first; files that are no longer there are left out.
    """
    texts = texts_of(language_of(request))
    return JSONResponse({"runs": await run_in_threadpool(_list, request.app.state.workspace, texts)})


def lora_result(request: Request) -> Response:
    """The LoRA file or model of that name among those that a run has written, as a download."""
    workspace = request.app.state.workspace
    run = find_run(workspace, request.path_params["name"])
    path = find_result(run, request.path_params["file"]) if run else None
    if path is None:
        return PlainTextResponse("There is no such result.\n", status_code=404)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return FileResponse(path, media_type="application/octet-stream", filename=path.name, headers=headers)


def find_result(run: RunFolder, name: str) -> Path | None:
    """The file of that name; None for a run of another kind, and for a file that the page may not look at."""
    found = next((path for path in _results(run) if path.name == name), None)
    if found is None:
        return None
    try:
        check_allowed([found], run.workspace)
    except DatasetError:
        return None
    return found


def _submit(request: Request, body: Mapping[str, Any]) -> str:
    workspace: Path = request.app.state.workspace
    command, form = body["command"], _Form(request, body)
    if command not in LORA_COMMANDS:
        raise OptionError(f"{command}: no such tool")
    arguments, title = _ARGUMENTS[command](form)
    overwrite = ["--overwrite"] if body["overwrite"] else []
    run = submit_tool(KIND, [command, *arguments, *overwrite], workspace=workspace, title=f"{command} {title}")
    ensure_worker(workspace)
    return run.name


class _Form:
    """The values of a request, each checked as it is asked for. Raises a UserError for one that cannot be used."""

    def __init__(self, request: Request, body: Mapping[str, Any]) -> None:
        self._request = request
        self._values = {str(name): str(value).strip() for name, value in body["values"].items()}
        self._loras = body.get("loras")
        self._overwrite = body["overwrite"]
        self._inputs: list[Path] = []

    def text(self, name: str) -> str:
        return self._values.get(name, "")

    def model(self, name: str) -> Path:
        """A file that is there."""
        return self._existing(self.text(name))

    def lora(self, text: str) -> Path:
        """A LoRA file, by its header."""
        path = self._existing(text)
        if (kind := kind_of_file(read_header(path)[0])) != "LoRA":
            raise ModelFileError(f"{path}: a LoRA file is wanted, but this file seems to be: {kind}")
        return path

    def loras(self) -> tuple[list[Path], list[float]]:
        """The files of a merge with their strengths."""
        rows = self._loras if isinstance(self._loras, list) else []
        given = [row for row in rows if isinstance(row, dict) and str(row.get("file", "")).strip()]
        if not given:
            raise OptionError("no LoRA file is given", hint="type the path of at least one")
        strengths = [_number("strength", str(row.get("strength", "1")), lambda value: True) for row in given]
        return [self.lora(str(row["file"])) for row in given], strengths

    def output(self) -> Path:
        """A new .safetensors file, or one that may be written over."""
        path = allowed_path(self._request, self.text("output"))
        if path.suffix.lower() != ENDING:
            raise OptionError(f"{path}: the result is a .safetensors file", hint="end its name with .safetensors")
        if any(path.resolve() == given.resolve() for given in self._inputs):
            raise OptionError(f"{path}: is what the result is made from", hint="choose another name")
        if path.exists() and not (self._overwrite and path.is_file()):
            raise OptionError(f"{path}: exists already", hint="choose another name, or allow to write over it")
        return path

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in choices:
            raise OptionError(f"{name}: is {value}, but has to be one of {', '.join(choices)}")
        return value

    def rank(self) -> str:
        text = self.text("rank")
        if not text.isdecimal() or int(text) < 1:
            raise OptionError(f"rank: is {text}, but has to be a whole number, at least 1")
        return str(int(text))

    def energy(self) -> str:
        """A part above 0 and at most 1."""
        return repr(_number("keep_energy", self.text("keep_energy"), lambda value: 0 < value <= 1))

    def _existing(self, text: str) -> Path:
        path = allowed_path(self._request, text)
        size_of_file(path)  # tells what is wrong with a file in words
        self._inputs.append(path)
        return path


def _number(name: str, text: str, is_right: Callable[[float], bool]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value - value != 0 or not is_right(value):  # not finite
        raise OptionError(f"{name}: is {text}, which is no number that can be used here")
    return value


def _convert(form: _Form) -> tuple[list[str], str]:
    file = form.lora(form.text("file"))
    return [str(file), "--target", form.choice("target", TARGETS), *_written(form)], file.stem


def _resize(form: _Form) -> tuple[list[str], str]:
    file = form.lora(form.text("file"))
    by_rank = form.choice("by", ("rank", "keep_energy")) == "rank"
    size = ["--rank", form.rank()] if by_rank else ["--keep_energy", form.energy()]
    return [str(file), *size, *_written(form)], file.stem


def _merge(form: _Form) -> tuple[list[str], str]:
    dit = form.model("dit")
    files, strengths = form.loras()
    numbers = [f"{strength!r}" for strength in strengths]
    weights = ["--lora_weight", *map(str, files), "--lora_multiplier", *numbers]
    return ["--dit", str(dit), *weights, "--save_merged_model", str(form.output())], files[0].stem


def _extract(form: _Form) -> tuple[list[str], str]:
    dit, tuned = form.model("dit"), form.model("dit_tuned")
    energy = ["--keep_energy", form.energy()] if form.text("keep_energy") else []
    models = ["--dit", str(dit), "--dit_tuned", str(tuned)]
    return [*models, "--rank", form.rank(), *energy, *_written(form)], tuned.stem


def _written(form: _Form) -> list[str]:
    return ["--output", str(form.output()), "--save_precision", form.choice("save_precision", PRECISIONS)]


_ARGUMENTS: dict[str, Callable[[_Form], tuple[list[str], str]]] = {
    "convert": _convert,
    "resize": _resize,
    "merge": _merge,
    "extract": _extract,
}
"""For each command what it is told, and what the run is called after."""


def _list(workspace: Path, texts: Texts) -> list[dict[str, Any]]:
    rows = (row for row in list_rows(workspace) if row.kind == KIND)
    return [_told(row, RunFolder(workspace / "runs" / row.run), texts) for row in islice(rows, MOST_RUNS)]


def _told(row: RunRow, run: RunFolder, texts: Texts) -> dict[str, Any]:
    return {
        "run": row.run,
        "title": row.title,
        "state": row.state.value,
        "step": row.step,
        "total_steps": row.total_steps,
        "message": texts.message(row.message),
        "files": [{"name": path.name, "path": str(path), "size": path.stat().st_size} for path in _results(run)],
    }


def _results(run: RunFolder) -> list[Path]:
    """The weights that a LoRA tool's run or a training has written and that are still there."""
    job, status = run.job(), run.status()
    if job is None or job.kind not in (KIND, "train") or status is None:
        return []
    return [path for path in map(Path, status.files) if path.suffix.lower() == ENDING and path.is_file()]
