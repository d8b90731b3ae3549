"""Proposal of datasets for a folder, from what lies in it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import quantiles
from typing import Any

from backend.config.dataset_models import SIDE_STEP, Size, whole_latent_frames
from backend.dataset.media_facts import FactsOf, Kind, MediaFacts, read_facts
from backend.dataset.media_files import IMAGE_EXTENSIONS, VIDEO_EXTENSIONS, files_of
from backend.dataset.windows import TRAINED_FPS
from backend.errors import DatasetError

MOST_FILES_READ = 200
"""Of a larger folder so many files, evenly spread, stand for all."""

AREAS: tuple[Size, ...] = ((256, 256), (384, 384), (512, 512), (624, 624), (960, 544))
"""What is proposed at most: resolutions that HunyuanVideo was trained around, and what a consumer's GPU can hold."""

LONGEST_WINDOW = 25  # a second; more needs more memory, which a user may choose to spend
_CAPTION_ENDINGS = (".txt", ".caption", ".cap")


@dataclass(frozen=True)
class ProposedDataset:
    """One [[datasets]] entry. values: its keys as they are written. counted: files of its kind in the folder.
    unreadable: how many of those looked at cannot be read."""

    kind: Kind
    values: dict[str, Any]
    counted: int
    unreadable: int


def propose_datasets(
    folder: Path, *, cache_root: Path | None = None, facts_of: FactsOf = read_facts
) -> list[ProposedDataset]:
    """A dataset for the pictures and one for the clips that lie in a folder; where none do, for those of each folder
    within it.

    cache_root: where the caches of a folder go that cannot be written to. Raises DatasetError if the folder cannot be
    looked into or holds neither.
    """
    proposed = _of_folder(folder, facts_of)
    if not proposed:
        inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        proposed = [each for path in inner for each in _of_folder(path, facts_of)]
    if not proposed:
        raise DatasetError(f"{folder}: no pictures and no clips", hint="name the folder they lie in")
    return proposed if cache_root is None else [_cached_elsewhere(each, cache_root) for each in proposed]


def _cached_elsewhere(proposed: ProposedDataset, cache_root: Path) -> ProposedDataset:
    """The same with its caches in a folder of its own below cache_root, if they cannot lie beside the media."""
    media = Path(proposed.values[f"{proposed.kind}_directory"])
    if os.access(media, os.W_OK):
        return proposed
    digest = hashlib.sha256(os.fsencode(media.absolute())).hexdigest()[:8]
    folder = cache_root / f"{media.name}_{digest}_{proposed.kind}s"
    return replace(proposed, values={**proposed.values, "cache_directory": folder.as_posix()})


def _of_folder(folder: Path, facts_of: FactsOf) -> list[ProposedDataset]:
    found: list[tuple[Kind, list[Path]]] = [
        ("image", files_of(folder, IMAGE_EXTENSIONS)),
        ("video", files_of(folder, VIDEO_EXTENSIONS)),
    ]
    kinds = [(kind, files) for kind, files in found if files]
    return [_propose(folder, kind, files, facts_of, shares_folder=len(kinds) > 1) for kind, files in kinds]


def _propose(
    folder: Path, kind: Kind, files: Sequence[Path], facts_of: FactsOf, *, shares_folder: bool
) -> ProposedDataset:
    looked_at = files[:: -(-len(files) // MOST_FILES_READ)]
    facts = list(_readable(looked_at, kind, facts_of))
    values: dict[str, Any] = {f"{kind}_directory": folder.as_posix()}
    if shares_folder:  # each dataset needs a cache folder of its own
        values["cache_directory"] = (folder / f"cache_{kind}s").as_posix()
    ending = next((end for end in _CAPTION_ENDINGS if any(_has_caption(path, end) for path in looked_at)), ".txt")
    values |= {"caption_extension": ending, "enable_bucket": True}
    if facts:
        values["resolution"] = list(_resolution([each.size for each in facts]))
        values |= _clip_values(facts) if kind == "video" else {}
    return ProposedDataset(kind, values, counted=len(files), unreadable=len(looked_at) - len(facts))


def _has_caption(path: Path, ending: str) -> bool:
    return os.path.isfile(path.with_name(path.stem + ending))  # noqa: PTH113 - the name may be longer than any can be


def _readable(files: Iterable[Path], kind: Kind, facts_of: FactsOf) -> Iterable[MediaFacts]:
    for path in files:
        try:
            yield facts_of(path, kind)
        except DatasetError:
            continue


def _resolution(sizes: Sequence[Size]) -> Size:
    """The largest of AREAS that three in four need not be enlarged to; in their own shape if all have one."""
    areas = [width * height for width, height in sizes]
    lower = _lower_quartile(areas)
    width, height = max((area for area in AREAS if area[0] * area[1] <= lower), default=AREAS[0], key=_area)
    ratios = {round(size[0] / size[1], 2) for size in sizes}
    if len(ratios) > 1:
        return width, height
    ratio, area = ratios.pop(), width * height
    return _whole((area * ratio) ** 0.5), _whole((area / ratio) ** 0.5)


def _clip_values(facts: Sequence[MediaFacts]) -> dict[str, Any]:
    """Windows that three in four clips are long enough for; chunk where clips hold several of them."""
    rates = {each.fps and round(each.fps, 3) for each in facts}
    rate = rates.pop() if len(rates) == 1 else None
    faster = rate if rate and rate > TRAINED_FPS * 1.1 else None
    share = TRAINED_FPS / faster if faster else 1.0
    frames = int(_lower_quartile([(each.frames or 1) * share for each in facts]))
    length = whole_latent_frames(max(1, min(frames, LONGEST_WINDOW)))
    values: dict[str, Any] = {
        "target_frames": [length],
        "frame_extraction": "chunk" if frames >= 2 * length else "head",
    }
    return {**values, "source_fps": float(faster)} if faster else values


def _lower_quartile(numbers: Sequence[float]) -> float:
    return quantiles(numbers, n=4)[0] if len(numbers) > 1 else numbers[0]


def _area(size: Size) -> int:
    return size[0] * size[1]


def _whole(side: float) -> int:
    return max(SIDE_STEP, round(side / SIDE_STEP) * SIDE_STEP)
