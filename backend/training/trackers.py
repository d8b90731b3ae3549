"""TensorBoard and wandb through accelerate's trackers: one point for each optimizer step, one for each epoch."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import GeneralTracker
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

from backend.atomic_file import is_disk_full
from backend.config.toml_file import read_toml
from backend.errors import OptionError
from backend.runs.folder import make_numbered_folder
from backend.runs.wandb_login import find_login, is_offline
from backend.training.sampler import Sample
from backend.visual_files import encode_gif, read_frames

DEFAULT_TRACKER_NAME = "network_train"
TRACKERS = ("tensorboard", "wandb")
TENSORBOARD_PIXELS = 320
"""The longest side of samples in TensorBoard: a GIF of 129 frames then takes some MB; the files have all pixels."""

RETRY_S = 30.0
"""When TensorBoard is tried again after the disk was full."""


def tracker_kinds(log_with: str) -> list[str]:
    """The trackers that a value of log_with stands for."""
    return list(TRACKERS) if log_with == "all" else [log_with]


def new_log_folder(logging_dir: Path, prefix: str | None) -> Path:
    """`<logging_dir>/<prefix><YYYYmmddHHMMSS>`, made; a number is added if another run began in the same second."""
    stem = (prefix or "") + time.strftime("%Y%m%d%H%M%S")
    return make_numbered_folder(logging_dir, stem)


def check_wandb_login() -> None:
    """Raise OptionError if wandb would ask for a key on a console that nobody sees."""
    if is_offline() or find_login():
        return
    raise OptionError(
        "wandb is not logged in",
        hint="run 'wandb login' once, or set WANDB_API_KEY, or choose wandb_offline",
        option="log_with",
    )


TrackerSettings = dict[str, dict[str, Any]]
"""Arguments that each tracker is made with, by its name."""


def tracker_settings(
    config_file: Path | None, *, wandb_run_name: str | None, wandb_tags: Sequence[str] = (), wandb_offline: bool = False
) -> TrackerSettings:
    """The settings in a TOML file, a table for each tracker, with what else is given for wandb unless the file has it.

    Raises OptionError for a file that is missing or no TOML, and for a table of no tracker.
    """
    wandb = {"name": wandb_run_name, "tags": list(wandb_tags), "mode": "offline" if wandb_offline else None}
    given = {name: value for name, value in wandb.items() if value}
    settings: TrackerSettings = {"wandb": given} if given else {}
    for tracker, values in (read_toml(config_file) if config_file else {}).items():
        if tracker not in TRACKERS or not isinstance(values, dict):
            raise OptionError(
                f"{config_file}: [{tracker}] is not the table of a tracker",
                hint=f"wanted tables called {' or '.join(TRACKERS)}",
                option="log_tracker_config",
            )
        settings[tracker] = {**settings.get(tracker, {}), **values}
    return settings


class Trackers:
    """Writes scalars. Steps and epochs are axes of their own, so that neither disturbs the other.

    On a full disk the training goes on without them: TensorBoard's part is left out, and tried again from time to time.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        *,
        log_folder: Path,
        name: str | None,
        settings: TrackerSettings | None = None,
        hyperparameters: Mapping[str, str | int | float | bool] | None = None,
        retry_s: float = RETRY_S,
    ) -> None:
        """Begin logging. name: a sub-folder of TensorBoard's, the project of wandb. hyperparameters: shown with it.

        retry_s: when TensorBoard is tried again after the disk was full.
        """
        os.environ["WANDB_DIR"] = str(log_folder)
        self._accelerator = accelerator
        self._retry_s = retry_s
        self._silent_until: float | None = None
        accelerator.init_trackers(name or DEFAULT_TRACKER_NAME, config=hyperparameters, init_kwargs=settings or {})
        for tracker in accelerator.trackers:
            if tracker.name == "wandb":
                tracker.tracker.define_metric("epoch")
                tracker.tracker.define_metric("loss/epoch", step_metric="epoch")

    def log_step(self, values: Mapping[str, float], *, step: int) -> None:
        for tracker in self._trackers():
            with self._full_disk_told(tracker):
                tracker.log(dict(values), step=step)

    def log_epoch(self, average_loss: float, *, epoch: int) -> None:
        """The average loss at the end of an epoch, over the epochs."""
        for tracker in self._trackers():
            with self._full_disk_told(tracker):
                if tracker.name == "wandb":  # its own step may not go back from steps to epochs
                    tracker.log({"loss/epoch": average_loss, "epoch": epoch})
                else:
                    tracker.log({"loss/epoch": average_loss}, step=epoch)

    def log_samples(self, samples: Sequence[Sample], *, step: int) -> None:
        """Show samples at a step: in TensorBoard as pictures, clips moving, in wandb as what they are."""
        for tracker in self._trackers():
            if tracker.name == "wandb":
                import wandb

                kinds = {".png": wandb.Image, ".mp4": wandb.Video}
                shown = {
                    f"sample_{sample.index}": kinds[sample.path.suffix](str(sample.path), caption=sample.prompt.prompt)
                    for sample in samples
                }
                tracker.log(shown, step=step)
            else:
                with self._full_disk_told(tracker):
                    for sample in samples:
                        _add_moving_picture(tracker.writer, f"sample/{sample.index:02d}", sample.path, step=step)

    def close(self) -> None:
        for tracker in self._accelerator.trackers:
            with self._full_disk_told(tracker):
                tracker.finish()
        self._accelerator.trackers = []
        self._accelerator.end_training()

    def _trackers(self) -> list[GeneralTracker]:
        """The trackers to write with now. A writer of TensorBoard that met a full disk is dead: a new one follows."""
        if self._silent_until is not None and time.monotonic() >= self._silent_until:
            self._silent_until = None
            for tracker in self._accelerator.trackers:
                if tracker.name == "tensorboard":
                    with self._full_disk_told(tracker):
                        tracker.writer = SummaryWriter(tracker.logging_dir)
        is_silent = self._silent_until is not None
        return [each for each in self._accelerator.trackers if not (is_silent and each.name == "tensorboard")]

    @contextlib.contextmanager
    def _full_disk_told(self, tracker: GeneralTracker) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not is_disk_full(error):
                raise
            print(
                f"warning: {tracker.name} gets no values for {self._retry_s:g} s: {error}", file=sys.stderr, flush=True
            )
            self._silent_until = time.monotonic() + self._retry_s


def _add_moving_picture(writer: SummaryWriter, tag: str, path: Path, *, step: int) -> None:
    """A picture as TensorBoard keeps it; its page plays a GIF. The writer's own method for clips needs moviepy."""
    gif, (width, height) = encode_gif(read_frames(path), longest_side=TENSORBOARD_PIXELS)
    picture = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif)
    writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=picture)]), step)
