"""What a dataset file can say: a folder of pictures or of clips, and how they are cut."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from backend.errors import Problem

Size = tuple[int, int]  # width, height in pixels
SIDE_STEP = 16  # 8 pixels a latent, 2 latents a patch: every side that the transformer sees is a multiple of this


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


OTHER_MODELS_KEYS = (
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
"""Keys of datasets that only other models of musubi-tuner know; kept as they are, whatever they hold."""


class DatasetOptions(BaseModel):
    """What a dataset of pictures and one of clips have in common. model_extra: what it has of OTHER_MODELS_KEYS."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, use_attribute_docstrings=True)

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

    @model_validator(mode="after")
    def _other_keys_are_known(self) -> DatasetOptions:
        if unknown := sorted({*(self.model_extra or {})} - {*OTHER_MODELS_KEYS}):
            raise ValueError(f"unknown keys: {', '.join(unknown)}")
        return self


class ImageDataset(DatasetOptions):
    """Pictures of one folder, or those that a JSONL file lists."""

    kind: ClassVar[Literal["image", "video"]] = "image"

    image_directory: FilePath | None = None
    """Folder of the pictures and their captions."""

    image_jsonl_file: FilePath | None = None
    """A list of pictures with captions instead of a folder; one JSON object a line: image_path, caption."""

    cache_directory: FilePath | None = None
    """Where the caches are kept; the folder of the pictures if not given."""

    control_directory: FilePath | None = None
    """Control pictures of other models; HunyuanVideo does not train on them."""

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

    control_directory: FilePath | None = None
    """Control pictures of other models; HunyuanVideo does not train on them."""

    target_frames: Annotated[tuple[int, ...], BeforeValidator(_as_frame_counts)] = (1,)
    """Lengths of the windows in frames; 4k + 1 each."""

    frame_extraction: Literal["head", "chunk", "slide", "uniform", "full"] = "head"
    """Where windows are cut: head, chunk (one after another), slide, uniform (evenly spread) or full."""

    frame_stride: int = Field(1, ge=1)
    """Frames from one sliding window to the next (slide)."""

    frame_sample: int = Field(1, ge=1)
    """Windows a clip (uniform)."""

    max_frames: int = Field(129, ge=1)
    """Longest window in frames (full)."""

    source_fps: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Frames per second of the clips; frames are left out to make it 24."""

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


def _with_absolute_paths(dataset: ImageDataset | VideoDataset) -> ImageDataset | VideoDataset:
    paths = {name: value for name, value in dataset if isinstance(value, Path)} | {
        "cache_directory": dataset.cache_folder
    }
    return dataset.model_copy(update={name: path.absolute() for name, path in paths.items()})
