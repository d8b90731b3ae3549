"""Text caches: every caption of a dataset, encoded by both text encoders once and kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Literal

from torch import Tensor

from backend.caching.files import write_clip_cache, write_llm_cache
from backend.caching.progress import Progress, ignore_progress
from backend.config.dataset_models import DatasetFile
from backend.dataset.cache_names import text_cache_name
from backend.dataset.cached import has_part, text_encoder_key, text_problem
from backend.dataset.items import find_items, usable_items
from backend.errors import Problem
from backend.models.hunyuan_video.text_encoders import TextEncoder, encode_clip, encode_llm

Part = Literal["llm", "clipL"]


@dataclass(frozen=True)
class CaptionedItem:
    """A caption and the file that keeps what the encoders make of it. batch_size: that of its dataset."""

    caption: str
    text_path: Path
    batch_size: int


def find_captions(dataset_file: DatasetFile) -> tuple[list[CaptionedItem], list[Problem]]:
    """Every caption of the datasets, and a warning for each picture or clip that is left out.

    Raises DatasetError if a folder is missing or a caption cannot be read.
    """
    captions, problems = [], []
    for dataset in dataset_file.datasets:
        media, found = usable_items(find_items(dataset))
        problems += found
        captions += [
            CaptionedItem(each.caption, dataset.cache_folder / text_cache_name(each.stem), dataset.batch_size)
            for each in media
        ]
    return captions, problems


def without_cached(
    captions: Sequence[CaptionedItem], part: Part, *, encoder: str | None = None
) -> tuple[list[CaptionedItem], list[Problem]]:
    """The captions whose file lacks this encoder's part, is damaged, or was made from another caption or by another
    encoder; and, for files that are there, why they are made anew. encoder: as `encoder_name` tells it, None for any.
    """
    encoders = {} if encoder is None else {part: encoder}
    faults = [
        (item, text_problem(item.text_path, caption=item.caption, parts=[part], encoders=encoders)) for item in captions
    ]
    stale = [fault for item, fault in faults if fault is not None and has_part(item.text_path, part)]
    return [item for item, fault in faults if fault is not None], stale


def cache_llm_outputs(
    captions: Sequence[CaptionedItem],
    llm: TextEncoder,
    *,
    batch_size: int | None = None,
    encoder: str | None = None,
    progress: Progress = ignore_progress,
) -> None:
    """Encode captions with the language model and write its part of their files. encoder: what is kept of it there, as
    `encoder_name` tells it."""
    write = partial(write_llm_cache, origin=_origin("llm", encoder))
    _cache(captions, llm, encode=encode_llm, write=write, batch_size=batch_size, progress=progress)


def cache_clip_outputs(
    captions: Sequence[CaptionedItem],
    clip: TextEncoder,
    *,
    batch_size: int | None = None,
    encoder: str | None = None,
    progress: Progress = ignore_progress,
) -> None:
    """Encode captions with CLIP and write its part of their files. encoder: as for `cache_llm_outputs`."""
    write = partial(write_clip_cache, origin=_origin("clipL", encoder))
    _cache(captions, clip, encode=encode_clip, write=write, batch_size=batch_size, progress=progress)


def _origin(part: Part, encoder: str | None) -> dict[str, str]:
    return {} if encoder is None else {text_encoder_key(part): encoder}


def _cache(
    captions: Sequence[CaptionedItem],
    encoder: TextEncoder,
    *,
    encode: Callable[[TextEncoder, Sequence[str]], tuple[Tensor, Tensor]],
    write: Callable[..., None],
    batch_size: int | None,
    progress: Progress,
) -> None:
    done = 0
    for batch in _batches(captions, batch_size):
        states, masks = (each.cpu() for each in encode(encoder, [item.caption for item in batch]))
        for item, state, mask in zip(batch, states, masks, strict=True):
            write(item.text_path, state, mask=mask, caption=item.caption)
        done += len(batch)
        progress(
            done, len(captions), ", ".join(item.text_path.name.removesuffix("_hv_te.safetensors") for item in batch)
        )


def _batches(captions: Sequence[CaptionedItem], batch_size: int | None) -> Iterator[list[CaptionedItem]]:
    for own_size, group in groupby(captions, key=lambda item: item.batch_size):
        items, size = list(group), batch_size or own_size
        yield from (items[start : start + size] for start in range(0, len(items), size))
