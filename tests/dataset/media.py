"""Small pictures and clips, made on the spot, and caches as training wants them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from backend.dataset.expected import ExpectedItem


def write_picture(path: Path, size: tuple[int, int], *, caption: str | None = "a picture", **options: object) -> Path:
    """A picture of random pixels; size is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(size).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    if caption is not None:
        path.with_name(path.stem + ".txt").write_text(caption, encoding="utf-8")
    return path


def write_clip(
    path: Path,
    size: tuple[int, int] = (64, 48),
    *,
    frames: int = 30,
    caption: str | None = "a clip",
    rotation: int = 0,
    codec: str = "libx264",
) -> Path:
    """A clip; frame i has the grey value 4 i mod 256, but for a white left upper corner; size is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        options = {"crf": "1"} if codec == "libx264" else {"auto-alt-ref": "1"} if "vpx" in codec else {}
        stream = container.add_stream(codec, rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for index in range(frames):
            pixels = np.full((size[1], size[0], 3), 4 * index % 256, dtype=np.uint8)
            pixels[: size[1] // 4, : size[0] // 4] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    if caption is not None:
        path.with_name(path.stem + ".txt").write_text(caption, encoding="utf-8")
    return path


def write_caches(item: ExpectedItem) -> None:
    """Latents and text outputs of zeros in the right shapes, with the caption."""
    write_latents(item.latent_path, item.bucket, item.frame_count or 1)
    write_text(item.text_path, caption=item.media.caption)


def write_latents(
    path: Path, size: tuple[int, int], frames: int = 1, *, metadata: dict[str, str] | None = None
) -> None:
    """A latent cache of so many pixels and frames; without metadata it does not tell what it was made from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = ((frames - 1) // 4 + 1, size[1] // 8, size[0] // 8)
    key = f"latents_{shape[0]}x{shape[1]}x{shape[2]}_float16"
    save_file({key: np.zeros((16, *shape), np.float16)}, path, metadata)


def write_text(
    path: Path,
    *,
    names: tuple[str, ...] = ("llm_float16", "llm_mask", "clipL_float16", "clipL_mask"),
    caption: str | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    """A text cache with tensors of these names; without a caption and metadata it does not tell its origin."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {**(metadata or {}), **({} if caption is None else {"caption1": caption})}
    save_file({name: np.zeros(4, np.float16) for name in names}, path, told or None)
