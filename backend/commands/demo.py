"""Make a small model family and a dataset to try everything with: `python -m backend demo [--train]`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import filelock

from backend.atomic_file import write_bytes
from backend.commands import cache_latents, cache_text_encoder_outputs
from backend.commands.train import follow
from backend.config.command_line import Parser
from backend.config.configuration import Configuration
from backend.config.presets import find_preset, read_preset
from backend.demo import dataset
from backend.demo.models import model_files
from backend.errors import StoppedByUser
from backend.runs.demo_folder import DemoFolder
from backend.runs.outcome import reported_outcome
from backend.runs.status import Reporter
from backend.runs.training_job import submit_training
from backend.runs.workspace import DEFAULT_WORKSPACE

PRESET = "demo"


def main(arguments: list[str]) -> int:
    """Make the demo, or what is missing of it. Returns 0, with --train the exit code of the training."""
    parser = Parser(prog="python -m backend demo", description=__doc__, allow_abbrev=False)
    parser.add_argument("--workspace", type=Path, default=DEFAULT_WORKSPACE, help="folder that the demo is made in")
    parser.add_argument("--train", action="store_true", help="then train a LoRA with the preset Demo")
    options = parser.parse_args(arguments)
    reporter = Reporter.from_environment()
    with reported_outcome(reporter, phase="loading"):
        make_demo(options.workspace, reporter=reporter)
    return train_demo(options.workspace) if options.train else 0


def make_demo(workspace: Path, *, reporter: Reporter) -> None:
    """Make models and dataset and cache them. What is there and whole is left alone.

    Files are compared with what they should hold, but for captions and dataset.toml, which a user may edit; if one is
    missing or differs, nothing is known of the caches, which are made anew. Raises StoppedByUser if the run is asked to
    stop.
    """
    demo = DemoFolder.of(workspace)
    demo.path.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(demo.lock_file):
        if not demo.is_whole():
            _write_files(demo, reporter)
            _cache(workspace, reporter=reporter)
            demo.mark_as_whole()
    reporter.update(message="the demo is ready")
    print(f"the demo is ready: {demo.path}", flush=True)


def train_demo(workspace: Path) -> int:
    """Train with the preset Demo, following the log, and say where the results lie. Returns the exit code."""
    run = submit_training(_preset(workspace), workspace=workspace, foreground=True)
    code = follow(run)
    status = run.status()
    if status is not None:
        print(f"LoRA:  {', '.join(status.files) or 'none was saved'}")
        print(f"samples:  {run.samples}")
        print(f"logs:  {status.log_folder}")
    return code


def _write_files(demo: DemoFolder, reporter: Reporter) -> None:
    reporter.update(phase="loading", message="laying out the demo's models")
    wanted = dict(_files(demo))
    _stop_if_asked(reporter)
    other = [path for path, content in wanted.items() if not (demo.is_users_own(path) or _holds(path, content))]
    if other:
        shutil.rmtree(demo.caches, ignore_errors=True)
    for path in other:
        write_bytes(path, wanted[path])
    print(f"demo: {len(wanted)} files of models and media, {len(other)} of them made now", flush=True)


def _files(demo: DemoFolder) -> Iterator[tuple[Path, bytes]]:
    """Every file of the demo but the caches, with what it holds."""
    yield from ((demo.models / name, content) for name, content in model_files().items())
    yield from ((demo.pictures / name, content) for name, content in dataset.media_files("pictures").items())
    yield from ((demo.clips / name, content) for name, content in dataset.media_files("clips").items())
    yield demo.prompts_file, dataset.PROMPTS.read_bytes()
    yield demo.dataset_file, dataset.dataset_file(demo)


def _cache(workspace: Path, *, reporter: Reporter) -> None:
    """Cache with the dtypes of the preset, by the commands that everybody uses.

    One item at a time, so that one that is cached anew gets the same bytes.
    """
    reporter.update(phase="caching")
    options = _preset(workspace).changed(skip_existing=True, batch_size=1)
    cache_latents.run(options, reporter=reporter)
    cache_text_encoder_outputs.run(options, reporter=reporter)


def _preset(workspace: Path) -> Configuration:
    return Configuration.from_values(read_preset(find_preset(PRESET, workspace=workspace), workspace=workspace))


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content


def _stop_if_asked(reporter: Reporter) -> None:
    if reporter.is_requested("stop"):
        raise StoppedByUser("stopped before the demo was whole; it goes on where it was")
