"""A dataset as the metadata of a LoRA file tells it."""

from __future__ import annotations

from typing import Any

from backend.config.dataset_models import ImageDataset, VideoDataset


def dataset_record(dataset: ImageDataset | VideoDataset) -> dict[str, Any]:
    """One object of ss_datasets: the settings, and base names of folders and files but no paths."""
    record: dict[str, Any] = {
        "resolution": list(dataset.resolution),
        "caption_extension": dataset.caption_extension,
        "batch_size_per_device": dataset.batch_size,
        "num_repeats": dataset.num_repeats,
        "enable_bucket": dataset.enable_bucket,
        "bucket_no_upscale": dataset.bucket_no_upscale,
    }
    kind = dataset.kind
    for key in (f"{kind}_directory", f"{kind}_jsonl_file"):
        if (path := getattr(dataset, key)) is not None:
            record[key] = path.name
    if isinstance(dataset, VideoDataset):
        record |= {
            "frame_extraction": dataset.frame_extraction,
            "frame_stride": dataset.frame_stride,
            "frame_sample": dataset.frame_sample,
            "target_frames": list(dataset.target_frames),
            "max_frames": dataset.max_frames,
            "source_fps": dataset.source_fps,
        }
    return {**record, "has_control": False}
