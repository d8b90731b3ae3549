"""The demo's dataset: the shipped photos and clips with their captions, and the file that describes them."""

from __future__ import annotations

from backend.config.dataset import format_dataset_file
from backend.config.dataset_models import DatasetFile, ImageDataset, VideoDataset
from backend.config.presets import SHIPPED
from backend.runs.demo_folder import DemoFolder

MEDIA = SHIPPED / "demo"
RESOLUTION = (128, 96)
WINDOW_FRAMES = 9
WINDOWS_PER_CLIP = 2


def media_files(kind: str) -> dict[str, bytes]:
    """The shipped files of a kind, photos or clips, with their captions, by name."""
    return {path.name: path.read_bytes() for path in sorted((MEDIA / kind).iterdir()) if path.is_file()}


def captions() -> list[str]:
    """The captions of all photos and clips."""
    return [path.read_text(encoding="utf-8").strip() for path in sorted(MEDIA.glob("*/*.txt"))]


def dataset_file(demo: DemoFolder) -> bytes:
    """The text of dataset.toml, with absolute paths."""
    photos = ImageDataset(
        image_directory=demo.photos, cache_directory=demo.caches / "photos", resolution=RESOLUTION, enable_bucket=True
    )
    clips = VideoDataset(
        video_directory=demo.clips,
        cache_directory=demo.caches / "clips",
        resolution=RESOLUTION,
        enable_bucket=True,
        target_frames=(WINDOW_FRAMES,),
        frame_extraction="uniform",
        frame_sample=WINDOWS_PER_CLIP,
    )
    return format_dataset_file(DatasetFile(datasets=(photos, clips))).encode()
