"""The dataset file: which folders are trained on and how their pictures and clips are cut; TOML or JSON."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tomlkit
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from backend.errors import DatasetError, Problem

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Size = tuple[int, int]  # width, height in pixels
SIDE_STEP = 16  # 8 pixels a latent, 2 latents a patch: every side that the transformer sees is a multiple of this
SHARED_KEYS = (
    "resolution",
    "caption_extension",
    "batch_size",
    "num_repeats",
    "enable_bucket",
    "bucket_no_upscale",
)
OTHER_ARCHITECTURE_KEYS = (
    "control_directory",
    "multiple_target",
    "no_resize_control",
    "control_resolution",
    "flux_kontext_no_resize_control",
    "qwen_image_edit_no_resize_control",
    "qwen_image_edit_control_resolution",
    "fp_latent_window_size",
    "fp_1f_clean_indices",
    "fp_1f_target_index",
    "fp_1f_no_post",
)


def _as_size(value: object) -> object:
    if type(value) is int:
        return (value, value)
    if isinstance(value, (list, tuple)) and len(value) == 2 and all(type(side) is int for side in value):
        return tuple(value)
    raise ValueError("a whole number or [width, height] in pixels is wanted")


def _as_frame_counts(value: object) -> object:
    if isinstance(value, (list, tuple)) and value and all(type(count) is int and count >= 1 for count in value):
        return tuple(value)
    raise ValueError("a list of whole numbers from 1 up is wanted, such as [1, 25]")


def _as_path(value: object) -> object:
    if isinstance(value, (str, Path)) and str(value).strip():
        return Path(value)
    raise ValueError("a path is wanted")


FilePath = Annotated[Path, BeforeValidator(_as_path)]


class DatasetOptions(BaseModel):
    """What a dataset of pictures and one of clips have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    kind: ClassVar[Literal["image", "video"]]

    caption_extension: str = ".txt"
    """Ending of the caption files, with the dot."""

    batch_size: int = Field(1, ge=1)
    """Items that one step learns from together."""

    num_repeats: int = Field(1, ge=1)
    """How often each item is seen in an epoch."""

    enable_bucket: bool = False
    """Sort items by shape instead of cropping all to one."""

    bucket_no_upscale: bool = False
    """Never enlarge; only with enable_bucket."""

    # after enable_bucket, which its check needs
    resolution: Annotated[Size, BeforeValidator(_as_size)] = (960, 544)
    """Width and height in pixels; with buckets their product counts."""

    @field_validator("caption_extension")
    @classmethod
    def _extension_has_a_dot(cls, extension: str) -> str:
        if not extension.startswith(".") or "/" in extension or "\\" in extension:
            raise ValueError('an ending with its dot is wanted, such as ".txt"')
        return extension

    @field_validator("resolution")
    @classmethod
    def _resolution_can_be_trained(cls, resolution: Size, info: ValidationInfo) -> Size:
        if min(resolution) < SIDE_STEP:
            raise ValueError(f"both sides must be at least {SIDE_STEP} pixels")
        buckets_known, enabled = "enable_bucket" in info.data, info.data.get("enable_bucket")
        if buckets_known and not enabled and any(side % SIDE_STEP for side in resolution):
            nearest = [max(SIDE_STEP, round(side / SIDE_STEP) * SIDE_STEP) for side in resolution]
            raise ValueError(
                f"without buckets both sides must be multiples of {SIDE_STEP}; the nearest is {nearest}, "
                "or set enable_bucket = true"
            )
        if enabled and resolution[0] * resolution[1] < (2 * SIDE_STEP) ** 2:
            raise ValueError(f"buckets need at least the area of {2 * SIDE_STEP}x{2 * SIDE_STEP} pixels")
        return resolution


class ImageDataset(DatasetOptions):
    """Pictures of one folder, or those that a JSONL file lists."""

    kind: ClassVar[Literal["image", "video"]] = "image"

    image_directory: FilePath | None = None
    """Folder of the pictures and their captions."""

    image_jsonl_file: FilePath | None = None
    """A list of pictures with captions instead of a folder; one JSON object a line: image_path, caption."""

    cache_directory: FilePath | None = None
    """Where the caches are kept; the folder of the pictures if not given."""

    @property
    def media_directory(self) -> Path | None:
        return self.image_directory

    @property
    def jsonl_file(self) -> Path | None:
        return self.image_jsonl_file

    @property
    def cache_folder(self) -> Path:
        return self.cache_directory or self.image_directory or Path()


class VideoDataset(DatasetOptions):
    """Clips of one folder, or those that a JSONL file lists."""

    kind: ClassVar[Literal["image", "video"]] = "video"

    video_directory: FilePath | None = None
    """Folder of the clips and their captions."""

    video_jsonl_file: FilePath | None = None
    """A list of clips with captions instead of a folder; one JSON object a line: video_path, caption."""

    cache_directory: FilePath | None = None
    """Where the caches are kept; the folder of the clips if not given."""

    target_frames: Annotated[tuple[int, ...], BeforeValidator(_as_frame_counts)] = (1,)
    """Lengths of the windows in frames; 4k + 1 each."""

    frame_extraction: Literal["head", "chunk", "slide", "uniform", "full"] = "head"
    """How windows are cut: the beginning, one after another, sliding, evenly spread, or the whole clip."""

    frame_stride: int = Field(1, ge=1)
    """Frames from one sliding window to the next (slide)."""

    frame_sample: int = Field(1, ge=1)
    """Windows a clip (uniform)."""

    max_frames: int = Field(129, ge=1)
    """Longest window in frames (full)."""

    source_fps: float | None = Field(None, gt=0)
    """Frames per second of the clips, brought to 24 by leaving frames out; all frames are used if not given."""

    @property
    def media_directory(self) -> Path | None:
        return self.video_directory

    @property
    def jsonl_file(self) -> Path | None:
        return self.video_jsonl_file

    @property
    def cache_folder(self) -> Path:
        return self.cache_directory or self.video_directory or Path()

    @property
    def window_lengths(self) -> tuple[int, ...]:
        """target_frames as they are cut: each brought down to 4k + 1, once, ascending."""
        return tuple(sorted({whole_latent_frames(count) for count in self.target_frames}))


class DatasetFile(BaseModel):
    """All datasets of one training, in the order of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    datasets: tuple[ImageDataset | VideoDataset, ...]
    warnings: tuple[Problem, ...] = Field((), exclude=True, repr=False)

    def absolute(self) -> DatasetFile:
        """The same with every path absolute and every cache folder written out, readable from any folder."""
        return self.model_copy(update={"datasets": tuple(_with_absolute_paths(dataset) for dataset in self.datasets)})


def whole_latent_frames(frames: int) -> int:
    """The largest 4k + 1 that is not above frames: what the autoencoder turns into k + 1 latent frames."""
    return (frames - 1) // 4 * 4 + 1


def read_dataset_file(path: Path) -> DatasetFile:
    """The datasets of a .toml or .json file; relative folders count from the current directory.

    Raises DatasetError with every mistake of the file, each with the number of its dataset and its key.
    """
    path = Path(path)
    try:
        return parse_datasets(_read_values(path))
    except DatasetError as error:
        raise _at_place(error, path) from None


def parse_datasets(values: Mapping[str, Any]) -> DatasetFile:
    """The datasets that the values of a dataset file describe: {"general": {...}, "datasets": [{...}, ...]}.

    Raises DatasetError with every mistake.
    """
    general, entries, problems = _split_values(values)
    parsed: dict[int, ImageDataset | VideoDataset] = {}
    for number, entry in enumerate(entries, start=1):
        dataset, found = _parse_entry(entry, general, number=number)
        problems += found
        if dataset is not None:
            parsed[number] = dataset
            problems += _doubtful_values(dataset, number)
    problems += _shared_cache_folders(parsed)
    problems = list(dict.fromkeys(problems))  # a mistake in [general] shows once, not once a dataset
    if any(problem.severity == "error" for problem in problems):
        raise DatasetError.of(sorted(problems, key=lambda problem: problem.severity != "error"))
    return DatasetFile(datasets=tuple(parsed.values()), warnings=tuple(problems))


def write_dataset_file(path: Path, dataset_file: DatasetFile) -> None:
    """Writes a TOML file that read_dataset_file and musubi-tuner read back to the same values."""
    path = Path(path)
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(format_dataset_file(dataset_file), encoding="utf-8", newline="\n")
    os.replace(unfinished, path)


def format_dataset_file(dataset_file: DatasetFile) -> str:
    """The text of the TOML file, with a comment beside each value."""
    document = tomlkit.document()
    tables = tomlkit.aot()
    for dataset in dataset_file.datasets:
        tables.append(_as_table(dataset))
    document.append("datasets", tables)
    return tomlkit.dumps(document)


# -- reading ---------------------------------------------------------------------------------------------------------


def _read_values(path: Path) -> Mapping[str, Any]:
    parse = {".toml": tomllib.loads, ".json": json.loads}.get(path.suffix.lower())
    if parse is None:
        raise DatasetError("the dataset file must end in .toml or .json", option="dataset_config")
    try:
        values = parse(path.read_text(encoding="utf-8-sig"))  # Windows' editor puts a byte order mark in front
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", option="dataset_config") from None
    except ValueError as error:  # what TOML, JSON and UTF-8 decoding raise
        raise DatasetError(f"not a valid {path.suffix[1:].upper()} file: {error}", option="dataset_config") from None
    if not isinstance(values, dict):
        raise DatasetError("a table with [[datasets]] is wanted", option="dataset_config")
    return values


def _at_place(error: DatasetError, path: Path) -> UserErrorLike:
    return DatasetError.of(
        Problem(f"{path}: {problem.message}", problem.hint, problem.option, problem.severity)
        for problem in error.problems
    )


def _split_values(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any], list[Problem]]:
    """The table [general] without its unknown keys, the entries, and what is wrong around them."""
    problems = [
        _problem(f"unknown key {key}", hint=_did_you_mean(key, ("general", "datasets")))
        for key in values
        if key not in ("general", "datasets")
    ]
    general = values.get("general", {})
    if not isinstance(general, dict):
        problems.append(_problem("general must be a table"))
        general = {}
    problems += [_unwanted_key(key, "general", SHARED_KEYS) for key in general if key not in SHARED_KEYS]
    entries = values.get("datasets", [])
    if not isinstance(entries, list) or not entries:
        problems.append(_problem("no datasets", hint="add a [[datasets]] entry with image_directory or video_directory"))
        entries = []
    return {key: value for key, value in general.items() if key in SHARED_KEYS}, entries, problems


def _parse_entry(
    entry: Any, general: Mapping[str, Any], *, number: int
) -> tuple[ImageDataset | VideoDataset | None, list[Problem]]:
    place = f"dataset {number}"
    if not isinstance(entry, dict):
        return None, [_problem(f"{place}: a table is wanted, found {_shown(entry)}")]
    model, problems = _model_of(entry, place)
    if model is None:
        return None, problems
    known = tuple(model.model_fields)
    problems += [_unwanted_key(key, place, known) for key in entry if key not in known]
    own = {key: value for key, value in entry.items() if key in known}
    merged = {**general, **own}
    try:
        return model.model_validate(merged), problems
    except ValidationError as error:
        problems += [
            _value_problem(place if details["loc"][0] in own else "general", str(details["loc"][0]), merged, details)
            for details in error.errors()
        ]
        return None, problems


def _model_of(
    entry: Mapping[str, Any], place: str
) -> tuple[type[ImageDataset] | type[VideoDataset] | None, list[Problem]]:
    """The kind of an entry by the folder or list it names, and what is wrong with that choice."""
    sources = [
        key
        for key in ("image_directory", "image_jsonl_file", "video_directory", "video_jsonl_file")
        if entry.get(key) is not None
    ]
    if not sources:
        return None, [
            _problem(
                f"{place}: neither pictures nor clips are named",
                hint="add image_directory, image_jsonl_file, video_directory or video_jsonl_file; "
                + "; ".join(
                    filter(None, (_did_you_mean(key, ALL_KEYS) for key in entry if key not in ALL_KEYS))
                ),
            )
        ]
    if len(sources) > 1:
        problem = _problem(f"{place}: {' and '.join(sources)} in one entry", hint="make an entry for each")
        if {source.split("_")[0] for source in sources} == {"image", "video"}:
            return None, [problem]
        problems = [problem]
    else:
        problems = []
    if sources[0].endswith("jsonl_file") and entry.get("cache_directory") is None:
        problems.append(_problem(f"{place}: {sources[0]} needs a cache_directory", hint="name a folder for the caches"))
    return (ImageDataset if sources[0].startswith("image") else VideoDataset), problems
