"""The demo's dataset: drawn hearts, a shape that the demo's models have never seen, and the file that describes it."""

from __future__ import annotations

from backend.config.dataset import format_dataset_file
from backend.config.dataset_models import DatasetFile, ImageDataset, VideoDataset
from backend.config.presets import SHIPPED
from backend.runs.demo_folder import DemoFolder

MEDIA = SHIPPED / "demo" / "hearts"
PROMPTS = SHIPPED / "demo" / "prompts.txt"
RESOLUTION = (64, 64)
WINDOW_FRAMES = 9
BATCH_SIZE = 4


def media_files(kind: str) -> dict[str, bytes]:
    """The shipped files of a kind, pictures or clips, with their captions, by name."""
    return {path.name: path.read_bytes() for path in sorted((MEDIA / kind).iterdir()) if path.is_file()}


def dataset_file(demo: DemoFolder) -> bytes:
    """The text of dataset.toml, with absolute paths."""
    shared = {"resolution": RESOLUTION, "batch_size": BATCH_SIZE}
    pictures = ImageDataset(image_directory=demo.pictures, cache_directory=demo.caches / "pictures", **shared)
    clips = VideoDataset(
        video_directory=demo.clips,
        cache_directory=demo.caches / "clips",
        target_frames=(WINDOW_FRAMES,),
        **shared,
    )
    return format_dataset_file(DatasetFile(datasets=(pictures, clips))).encode()
