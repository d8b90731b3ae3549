"""Expected items: what training will see of a dataset once everything is cached, from the media alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backend.config.dataset_models import SIDE_STEP, ImageDataset, Size, VideoDataset
from backend.dataset.buckets import bucket_for
from backend.dataset.cache_names import is_too_long, latent_cache_name, text_cache_name
from backend.dataset.items import MediaItem, find_items, usable_items
from backend.dataset.media_facts import FactsOf, MediaFacts, read_facts
from backend.dataset.origin import Origin
from backend.dataset.path_length import excess_of
from backend.dataset.windows import FrameWindow, frame_windows, frames_needed, kept_frames
from backend.errors import DatasetError, Problem


@dataclass(frozen=True)
class ExpectedItem:
    """A picture, or a window of a clip, with the bucket it is trained at and the caches it needs.

    size, bucket: (width, height), as seen and as trained. window: None for a picture. source_fps: of its dataset.
    """

    media: MediaItem
    size: Size
    bucket: Size
    window: FrameWindow | None
    latent_path: Path
    text_path: Path
    source_fps: float | None = None

    @property
    def stem(self) -> str:
        return self.media.stem

    @property
    def frame_count(self) -> int | None:
        return self.window.count if self.window else None

    @property
    def origin(self) -> Origin:
        """What its latents must have been made from."""
        return Origin(self.media.path, self.source_fps)


def expected_items(
    dataset: ImageDataset | VideoDataset, *, facts_of: FactsOf = read_facts
) -> tuple[list[ExpectedItem], list[Problem]]:
    """Every item by stem and window, and a warning for each picture, clip or window that is left out.

    Only file headers are read. Raises DatasetError as find_items does.
    """
    usable, problems = usable_items(find_items(dataset))
    items: list[ExpectedItem] = []
    for media in usable:
        own, found = items_of_media(media, dataset, facts_of=facts_of)
        items += own
        problems += found
    return items, problems


def items_of_media(
    media: MediaItem, dataset: ImageDataset | VideoDataset, *, facts_of: FactsOf = read_facts
) -> tuple[list[ExpectedItem], list[Problem]]:
    """What one picture or clip gives, by window, and warnings about what it does not give. One bad file raises nothing,
    as it must not hide the others."""
    try:
        if isinstance(dataset, ImageDataset):
            return [_item(media, dataset, size=facts_of(media.path, "image").size, window=None)], []
        return _clip_items(media, dataset, facts_of)
    except DatasetError as error:
        return [], [Problem(each.message, each.hint, each.option, "warning") for each in error.problems]


def used_frames(facts: MediaFacts, dataset: VideoDataset) -> int:
    """How many frames the windows of a clip can be cut from, after the frame rate was changed."""
    frames = facts.frames or 0
    if dataset.source_fps is None:
        return frames
    return len(kept_frames(frames, source_fps=dataset.source_fps, stop=frames_needed(dataset)))


def _clip_items(media: MediaItem, dataset: VideoDataset, facts_of: FactsOf) -> tuple[list[ExpectedItem], list[Problem]]:
    # Counting may end where more frames would change nothing; with another frame rate that place is not known before.
    facts = facts_of(media.path, "video", limit=frames_needed(dataset) if dataset.source_fps is None else None)
    frames = used_frames(facts, dataset)
    too_long = [length for length in dataset.window_lengths if length > frames]
    problems = [_too_short(media, frames, too_long)] if dataset.frame_extraction != "full" and too_long else []
    windows = sorted(set(frame_windows(frames, dataset)))
    return [_item(media, dataset, size=facts.size, window=window) for window in windows], problems


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
    if is_too_long(name):
        raise DatasetError(
            f"{media.path}: the name of its cache would be too long", hint="rename it", option="dataset_config"
        )
    folder = dataset.cache_folder
    if excess := excess_of(folder, name):
        raise DatasetError(
            f"{media.path}: the path of its cache would be {excess} characters too long",
            hint="shorten folders, choose another cache_directory, or switch on long paths in Windows",
            option="dataset_config",
        )
    source_fps = dataset.source_fps if isinstance(dataset, VideoDataset) else None
    return ExpectedItem(media, size, bucket, window, folder / name, folder / text_cache_name(media.stem), source_fps)


def _too_short(media: MediaItem, frames: int, lengths: list[int]) -> Problem:
    return Problem(
        f"{media.path}: {frames} frames, but target_frames asks for {', '.join(map(str, lengths))}",
        hint="lower target_frames or remove the clip",
        option="dataset_config",
        severity="warning",
    )
