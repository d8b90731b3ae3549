"""What is doubtful about a picture or clip: each warning with an id and values, so that a page can tell it in any
language, and a sentence in English."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.config.dataset import Dataset
from backend.config.dataset_models import SIDE_STEP, VideoDataset
from backend.dataset.buckets import bucket_for
from backend.dataset.cache_names import is_too_long, latent_cache_name
from backend.dataset.caption_length import CLIP_CAPTION_TOKENS, LLM_CAPTION_TOKENS, CaptionLimits
from backend.dataset.expected import used_frames
from backend.dataset.items import MediaItem
from backend.dataset.media_facts import MediaFacts
from backend.dataset.path_length import excess_of
from backend.dataset.windows import FrameWindow
from backend.errors import DatasetError

EXTREME_RATIO = 3.0  # width to height or the other way; buckets end at about 4:1, and cropping takes more and more
_HARMLESS = frozenset({"turned", "alpha", "animated", "caption_cut_by_clip"})

SENTENCES = {
    "unreadable": "cannot be read: {reason}",
    "caption_missing": "has no caption, so it is not trained on",
    "caption_unreadable": "{reason}, so it is not trained on",
    "caption_empty": "has an empty caption",
    "caption_cut_by_llm": "the caption has {tokens} tokens, the language model takes {limit}; the rest is not seen",
    "caption_cut_by_clip": "the caption has {tokens} tokens, CLIP takes {limit}; only the language model sees the rest",
    "too_small": "{width}x{height} pixels, but a side of {least} is the least, so it is not trained on",
    "name_too_long": "the name is too long for that of its cache, so it is not trained on",
    "path_too_long": "its path, or that of its cache, is {excess} characters too long, so it is not trained on; "
    "shorten folders, choose another cache_directory, or switch on long paths in Windows",
    "enlarged": "{width}x{height} pixels are enlarged to fill {bucket_width}x{bucket_height}",
    "extreme_ratio": "{width}x{height} is very {shape}; {cropped} % of it is cut off",
    "fewer_frames": "{frames} frames, but target_frames asks for {asked}",
    "same_stem": "another file has the same name but for its ending, and they would share caches",
    "duplicate": "holds the same as {other}",
    "turned": "is stored lying and is turned upright",
    "alpha": "has transparency, which is dropped, not blended",
    "animated": "moves; only its first frame is trained on",
}
"""The English sentence for each id; what stands in braces is in the values."""


@dataclass(frozen=True)
class ItemWarning:
    """One doubt. id: a key of SENTENCES. values: numbers and texts for the sentence."""

    id: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return SENTENCES[self.id].format(**self.values)

    @property
    def is_harmless(self) -> bool:
        """It only tells what happens, and nothing is to be done."""
        return self.id in _HARMLESS


def item_warnings(
    item: MediaItem,
    facts: MediaFacts | DatasetError,
    dataset: Dataset,
    *,
    limits: CaptionLimits,
    shares_stem: bool,
    same_as: Path | None,
) -> tuple[ItemWarning, ...]:
    """Everything doubtful about one picture or clip.

    facts: of it, or why there are none. same_as: a file before it that holds the same.
    """
    warnings = [*_caption_warnings(item, limits)]
    if isinstance(facts, MediaFacts):
        warnings += _media_warnings(facts, dataset)
    else:
        reason = facts.problems[0].message.removeprefix(f"{item.path}: ")
        warnings.insert(0, ItemWarning("unreadable", {"reason": reason}))
    cache_name = latent_cache_name(item.stem, (0, 0), FrameWindow(0, 0) if item.kind == "video" else None)
    if is_too_long(cache_name):
        warnings.append(ItemWarning("name_too_long"))
    if excess := excess_of(dataset.cache_folder, cache_name) or _excess_of_unreadable(item, facts):
        warnings.append(ItemWarning("path_too_long", {"excess": excess}))
    if shares_stem:
        warnings.append(ItemWarning("same_stem"))
    if same_as is not None:
        warnings.append(ItemWarning("duplicate", {"other": same_as.name}))
    return tuple(warnings)


def _excess_of_unreadable(item: MediaItem, facts: MediaFacts | DatasetError) -> int:
    """By how much the path of a file is too long that for that reason cannot be read."""
    return 0 if isinstance(facts, MediaFacts) else excess_of(item.path.parent, item.path.name)


def _caption_warnings(item: MediaItem, limits: CaptionLimits) -> Iterator[ItemWarning]:
    if item.caption is None:
        missing = ItemWarning("caption_missing")
        yield ItemWarning("caption_unreadable", {"reason": item.caption_fault}) if item.caption_fault else missing
        return
    if not item.caption:
        yield ItemWarning("caption_empty")
    too_long = limits.too_long(item.caption)
    if "llm" in too_long:
        yield ItemWarning("caption_cut_by_llm", {"tokens": too_long["llm"], "limit": LLM_CAPTION_TOKENS})
    if "clipL" in too_long:
        yield ItemWarning("caption_cut_by_clip", {"tokens": too_long["clipL"], "limit": CLIP_CAPTION_TOKENS})


def _media_warnings(facts: MediaFacts, dataset: Dataset) -> Iterator[ItemWarning]:
    yield from _size_warnings(facts, dataset)
    if isinstance(dataset, VideoDataset) and dataset.frame_extraction != "full":
        frames = used_frames(facts, dataset)
        if asked := [length for length in dataset.window_lengths if length > frames]:
            yield ItemWarning("fewer_frames", {"frames": frames, "asked": ", ".join(map(str, asked))})
    if facts.is_turned:
        yield ItemWarning("turned")
    if facts.has_alpha:
        yield ItemWarning("alpha")
    if facts.is_animated:
        yield ItemWarning("animated")


def _size_warnings(facts: MediaFacts, dataset: Dataset) -> Iterator[ItemWarning]:
    width, height = facts.size
    bucket = bucket_for(facts.size, dataset)
    size = {"width": width, "height": height}
    if min(bucket) < SIDE_STEP:
        yield ItemWarning("too_small", {**size, "least": SIDE_STEP})
        return
    scale = max(bucket[0] / width, bucket[1] / height)
    if scale > 1:
        yield ItemWarning("enlarged", {**size, "bucket_width": bucket[0], "bucket_height": bucket[1]})
    if max(width / height, height / width) > EXTREME_RATIO:
        cropped = 1 - bucket[0] * bucket[1] / (width * height * scale * scale)
        shape = "wide" if width > height else "tall"
        yield ItemWarning("extreme_ratio", {**size, "shape": shape, "cropped": round(100 * cropped)})
