"""Expected items: what training will see of a dataset once everything is cached, from the media alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.config.dataset_models import SIDE_STEP, ImageDataset, Size, VideoDataset
from backend.dataset.buckets import bucket_for
from backend.dataset.cache_names import latent_cache_name, text_cache_name
from backend.dataset.items import MediaItem, find_items, usable_items
from backend.dataset.media_files import clip_size, count_frames, image_size
from backend.dataset.windows import FrameWindow, frame_windows, frames_needed, kept_frames
from backend.errors import DatasetError, Problem


@dataclass(frozen=True)
class ExpectedItem:
    """A picture, or a window of a clip, with the bucket it is trained at and the caches it needs.

    size, bucket: (width, height), as on disk and as trained. window: None for a picture.
    """

    media: MediaItem
    size: Size
    bucket: Size
    window: FrameWindow | None
    latent_path: Path
    text_path: Path

    @property
    def stem(self) -> str:
        return self.media.stem

    @property
    def frame_count(self) -> int | None:
        return self.window.count if self.window else None


def expected_items(dataset: ImageDataset | VideoDataset) -> tuple[list[ExpectedItem], list[Problem]]:
    """Every item by stem and window, and a warning for each picture, clip or window that is left out.

    Only file headers are read. Raises DatasetError as find_items does.
    """
    usable, problems = usable_items(find_items(dataset))
    items: list[ExpectedItem] = []
    for media in usable:
        try:
            items += _image_items(media, dataset) if dataset.kind == "image" else _clip_items(media, dataset, problems)
        except DatasetError as error:  # one bad file must not hide the others
            problems += [Problem(each.message, each.hint, each.option, "warning") for each in error.problems]
    return items, problems


def _image_items(media: MediaItem, dataset: ImageDataset) -> Iterator[ExpectedItem]:
    size = image_size(media.path)
    yield _item(media, dataset, size=size, window=None)


def _clip_items(media: MediaItem, dataset: VideoDataset, problems: list[Problem]) -> list[ExpectedItem]:
    frames = _used_frames(media.path, dataset)
    too_long = [length for length in dataset.window_lengths if length > frames]
    if dataset.frame_extraction != "full" and too_long:
        problems.append(_too_short(media, frames, too_long))
    windows = sorted(set(frame_windows(frames, dataset)))
    size = clip_size(media.path)
    return [_item(media, dataset, size=size, window=window) for window in windows]


def _used_frames(path: Path, dataset: VideoDataset) -> int:
    """How many frames the windows can be cut from; counting ends where more would change nothing."""
    needed = frames_needed(dataset)
    if dataset.source_fps is None:
        return count_frames(path, limit=needed)
    return len(kept_frames(count_frames(path), source_fps=dataset.source_fps, stop=needed))


def _item(
    media: MediaItem, dataset: ImageDataset | VideoDataset, *, size: Size, window: FrameWindow | None
) -> ExpectedItem:
    bucket = bucket_for(size, dataset)
    if min(bucket) < SIDE_STEP:
        raise DatasetError(
            f"{media.path}: {size[0]}x{size[1]} pixels, but a side of {SIDE_STEP} is the least",
            hint="replace or remove it, or set bucket_no_upscale = false",
            option="dataset_config",
        )
    name = latent_cache_name(media.stem, bucket if window else size, window)
    folder = dataset.cache_folder
    return ExpectedItem(media, size, bucket, window, folder / name, folder / text_cache_name(media.stem))


def _too_short(media: MediaItem, frames: int, lengths: list[int]) -> Problem:
    return Problem(
        f"{media.path}: {frames} frames, but target_frames asks for {', '.join(map(str, lengths))}",
        hint="lower target_frames or remove the clip",
        option="dataset_config",
        severity="warning",
    )
