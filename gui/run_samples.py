"""The samples of a run: which there are, `GET /runs/NAME/samples`, and each of them, `GET /runs/NAME/samples/FILE`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import av
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from backend.config.toml_file import read_configuration
from backend.errors import UserError
from backend.runs.folder import RunFolder, find_run
from backend.visual_files import read_description
from gui.files import MEDIA_TYPES

NAME = re.compile(r"_(?:e(?P<epoch>\d{6})|(?P<step>\d{6,}))_(?P<index>\d{2,})_\d{14}_(?P<seed>\d+)$")
"""How the trainer ends the names of its samples: `_000200_00_20261122114009_42`, `_e000004_...` after an epoch."""

CLOCK_SLACK_S = 2.0


@dataclass(frozen=True)
class SampleFile:
    """A sample on the disk. step, epoch: after which it was made. index: place of its prompt. type: image or video."""

    file: str
    step: int | None
    epoch: int | None
    index: int
    seed: str
    type: str
    written: float
    prompt: str


def run_samples(request: Request) -> JSONResponse:
    """Answers {"samples": [{"file", "step", "epoch", "index", "seed", "type", "written", "prompt"}, ...]}."""
    run = find_run(request.app.state.workspace, request.path_params["name"])
    samples = list_samples(run) if run else []
    return JSONResponse({"samples": [asdict(sample) for sample in samples]})


def run_sample(request: Request) -> Response:
    """The picture or clip of that name among the run's samples, in parts where the browser asks for a range."""
    run = find_run(request.app.state.workspace, request.path_params["name"])
    path = find_sample(run, request.path_params["file"]) if run else None
    if path is None:
        return PlainTextResponse("There is no such sample.\n", status_code=404)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return FileResponse(path, media_type=MEDIA_TYPES[path.suffix.lower()], headers=headers)


def list_samples(run: RunFolder) -> list[SampleFile]:
    """The samples that the run has made, in the order in which it made them."""
    found = [sample for path, match in _sample_files(run) if (sample := _describe(path, match)) is not None]
    return sorted(found, key=lambda sample: (sample.written, sample.index))


def find_sample(run: RunFolder, name: str) -> Path | None:
    """The sample of that file name; None for one that is not of this run."""
    return next((path for path, _ in _sample_files(run) if path.name == name), None)


def _sample_files(run: RunFolder) -> Iterator[tuple[Path, re.Match[str]]]:
    """A folder of the user's own may hold samples of other runs with the same name: those of its time are its."""
    folder, stem = _samples_folder(run)
    begun = 0.0 if folder == run.samples else _begun(run) - CLOCK_SLACK_S
    ended = float("inf") if folder == run.samples else _ended(run) + CLOCK_SLACK_S
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        match = NAME.search(path.stem)
        if match is None or path.stem[: match.start()] != stem or path.suffix.lower() not in MEDIA_TYPES:
            continue
        if path.is_file() and not path.is_symlink() and begun <= path.stat().st_mtime <= ended:
            yield path, match


def _samples_folder(run: RunFolder) -> tuple[Path, str]:
    """Where the run's samples lie, and what their names begin with."""
    try:
        saving = read_configuration(run.config_file).saving
    except UserError:  # none, as caching of another version may have it
        return run.samples, ""
    if saving.output_dir in (None, str(run.checkpoints)):
        return run.samples, saving.output_name
    return Path(saving.output_dir) / "sample", saving.output_name


def _begun(run: RunFolder) -> float:
    status = run.status()
    return status.started if status else float("inf")


def _ended(run: RunFolder) -> float:
    status = run.status()
    return status.updated if status and run.state().is_over else float("inf")


def _describe(path: Path, match: re.Match[str]) -> SampleFile | None:
    try:
        written = path.stat().st_mtime
    except OSError:  # gone meanwhile
        return None
    step, epoch = match["step"], match["epoch"]
    return SampleFile(
        path.name,
        step=int(step) if step else None,
        epoch=int(epoch) if epoch else None,
        index=int(match["index"]),
        seed=match["seed"],
        type=MEDIA_TYPES[path.suffix.lower()].partition("/")[0],
        written=written,
        prompt=_read_prompt(path, written),
    )


@lru_cache(maxsize=4096)
def _read_prompt(path: Path, _written: float) -> str:
    """What the sample was made from, "" where the file does not tell it."""
    try:
        return read_description(path).get("prompt", "")
    except (OSError, ValueError, av.FFmpegError):  # not what its name says
        return ""
