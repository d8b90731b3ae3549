"""How quickly a dataset is looked at, cached and read, and how near that is to what disk and processor can do.

    python benchmarks/data.py --json figures.json
    python benchmarks/data.py --parts scan --files 5000
    python benchmarks/data.py --parts caching --pictures 200 --clips 20 --vae vae.safetensors --device cuda

Everything is made in a temporary folder beforehand. Each figure stands beside a floor, a time in which the same could
not be done with less: scan, the reading of the names and times of all its files; batches, the plain reading of the
same bytes; caching, the longer of decoding alone and encoding alone, as these can overlap. Parts:

    scan      an inspection as the page does it: cold without index, warm with it, then with everything cached too
    preview   what training sees: buckets and batches of an epoch; a picture as it will be cropped
    batches   batches from caches, with and without threads that read ahead, from the system's memory and from the disk
    waiting   how long a step that takes --step_seconds waits for its batch
    caching   pictures and clips through the VAE: one after the other, then with decoding ahead, then in batches
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend.caching.files import write_clip_cache, write_latent_cache, write_llm_cache
from backend.caching.latents import cache_latents, find_latent_work, load_items
from backend.config.dataset import parse_datasets
from backend.config.dataset_models import DatasetFile
from backend.dataset.batches import Batch, epoch_batches, group_into_buckets
from backend.dataset.cached import CachedItem
from backend.dataset.expected import expected_items
from backend.dataset.file_index import FileIndex
from backend.dataset.inspection import inspect_datasets
from backend.dataset.item_preview import seen_by_training
from backend.models.hunyuan_video.vae import encode, load_vae, normalize_pixels
from backend.training.batches import read_batches

PROJECT = Path(__file__).parents[1]
PICTURE_SIZES = ((640, 480), (480, 640), (800, 450), (512, 512), (900, 300))
Figures = dict[str, Any]


def measure_scan(folder: Path, options: argparse.Namespace) -> Iterator[Figures]:
    """Of a folder of photos with captions."""
    file = _photos(folder / "scan", options.files)
    floor = partial(_look_at_all, folder / "scan")
    inspect = partial(_inspect, file, folder / "index")
    yield _figures("scan cold", inspect, floor=floor, files=options.files, repeats=1)
    yield _figures("scan warm", inspect, floor=floor, files=options.files)
    for item in expected_items(file.datasets[0])[0]:
        _write_small_caches(item)
    yield _figures("scan of cached files, cold", inspect, floor=floor, files=options.files, repeats=1)
    yield _figures("scan of cached files, warm", inspect, floor=floor, files=options.files)


def measure_preview(folder: Path, options: argparse.Namespace) -> Iterator[Figures]:
    """What training sees."""
    file = _photos(folder / "preview", options.files)
    index = FileIndex()
    inspect_datasets(file, index=index)
    (dataset,) = file.datasets

    def batches() -> int:
        items = expected_items(dataset, facts_of=index.facts)[0]
        return len(epoch_batches(group_into_buckets([dataset], [items]), seed=0, epoch=1))

    floor = partial(_look_at_all, dataset.media_directory)
    yield _figures("buckets and batches of an epoch", batches, floor=floor, files=options.files)
    item = expected_items(dataset, facts_of=index.facts)[0][0]
    show = partial(seen_by_training, item.media.path, "image", bucket=item.bucket)
    yield _figures("a picture as it is cropped", show, floor=lambda: np.asarray(Image.open(item.media.path)))


def measure_batches(folder: Path, options: argparse.Namespace) -> Iterator[Figures]:
    """Reading of caches as a training does."""
    batches = _cached_batches(folder / "batches", options)
    paths = [path for batch in batches for item in batch.items for path in (item.latent_path, item.text_path)]
    size = sum(path.stat().st_size for path in paths) / 2**20
    for place, prepare in (("memory", lambda: None), ("disk", partial(_forget, paths))):
        for workers in (0, 1, options.workers):
            figures = _figures(
                f"batches from {place}, {workers} threads",
                lambda workers=workers: sum(1 for _ in read_batches(batches, workers=workers)),
                floor=lambda: sum(len(path.read_bytes()) for path in paths),
                prepare=prepare,
            )
            rates = {"batches_per_second": len(batches), "mib_per_second": size}
            rates = {name: amount / figures["seconds"] for name, amount in rates.items()}
            yield {**figures, **rates, "floor_mib_per_second": size / figures["floor_seconds"]}


def measure_waiting(folder: Path, options: argparse.Namespace) -> Iterator[Figures]:
    """How long steps wait, which do nothing but last."""
    batches = _cached_batches(folder / "waiting", options)
    for workers in (0, 1, options.workers):
        waits = []
        reading = read_batches(batches, workers=workers)
        while True:
            started = time.perf_counter()
            if next(reading, None) is None:
                break
            waits.append(time.perf_counter() - started)
            time.sleep(options.step_seconds)
        waits = sorted(waits[1:])  # before the first step there is nothing to read beside
        name = f"waiting of a step of {options.step_seconds} s, {workers} threads"
        yield {"name": name, "seconds": waits[len(waits) // 2], "longest_seconds": waits[-1]}


def measure_caching(folder: Path, options: argparse.Namespace) -> Iterator[Figures]:
    """Pictures and clips through the VAE."""
    file = _media_to_cache(folder / "caching", options)
    vae = load_vae(options.vae, device=options.device, dtype=getattr(torch, options.dtype))
    work = find_latent_work(file, skip_existing=False)
    cache_latents(find_latent_work(_media_to_cache(folder / "first", options, most=2), skip_existing=False), vae)
    decoding = _seconds(lambda: sum(1 for each in work.pending for _ in load_items(each, [])))
    loaded = [item for each in work.pending for item in load_items(each, [])]
    encoding = _seconds(lambda: [_encode(vae, item.frames) for item in loaded])
    for name, values in (
        ("one after the other", {"workers": 0, "batch_size": 1}),
        ("decoding ahead", {"workers": options.workers, "batch_size": 1}),
        ("decoding ahead, in batches", {"workers": options.workers, "batch_size": options.batch_size}),
    ):
        seconds = _seconds(lambda values=values: cache_latents(work, vae, **values))
        floor = max(decoding, encoding)
        yield {
            "name": f"caching, {name}",
            "items": work.pending_count,
            "seconds": seconds,
            "items_per_second": work.pending_count / seconds,
            "decoding_seconds": decoding,
            "encoding_seconds": encoding,
            "floor_seconds": floor,
            "floor_ratio": floor / seconds,
        }


PARTS: dict[str, Callable[[Path, argparse.Namespace], Iterator[Figures]]] = {
    "scan": measure_scan,
    "preview": measure_preview,
    "batches": measure_batches,
    "waiting": measure_waiting,
    "caching": measure_caching,
}


def main() -> None:
    options = _parse()
    figures = []
    for part in options.parts:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="loraloom_benchmark_") as folder:
            for each in PARTS[part](Path(folder), options):
                figures.append({"part": part, **each})
                print(_line(each), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _figures(
    name: str,
    work: Callable[[], Any],
    *,
    floor: Callable[[], Any],
    prepare: Callable[[], None] = lambda: None,
    repeats: int = 3,
    **values: Any,
) -> Figures:
    """The shortest of several runs, of which each comes after preparing; and of the floor, in turn with them."""
    runs, floors, processor = [], [], []
    for _ in range(repeats):
        prepare()
        started = time.process_time()
        runs.append(_seconds(work))
        processor.append(time.process_time() - started)
        prepare()
        floors.append(_seconds(floor))
    seconds, least = min(runs), min(floors)
    figures = {"name": name, **values, "seconds": seconds, "cpu_seconds": min(processor)}
    return {**figures, "floor_seconds": least, "floor_ratio": least / seconds}


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _inspect(file: DatasetFile, index: Path) -> None:
    inspect_datasets(file, index=FileIndex(index))  # a new one each time, as after a start of the program


def _look_at_all(folder: Path) -> int:
    """The least that tells whether a file has changed."""
    with os.scandir(folder) as entries:
        return sum(entry.stat().st_mtime_ns > 0 for entry in entries)


def _photos(folder: Path, count: int) -> DatasetFile:
    """Photos of 50 kinds, each a file of its own size and content, with captions of 90 to 270 characters."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    kinds = []
    for index in range(50):
        width, height = PICTURE_SIZES[index % len(PICTURE_SIZES)]
        content = io.BytesIO()
        pixels = generator.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((width, height)).save(content, "JPEG", quality=40)
        kinds.append(content.getvalue())
    for index in range(count):
        filling = b"\0" * (index // 50 % 400) + index.to_bytes(4, "little")  # behind the picture's end
        (folder / f"photo {index:05d}.jpg").write_bytes(kinds[index % 50] + filling)
        caption = f"a photo of a thing number {index}, in the evening light, with a tree behind it and a long road"
        (folder / f"photo {index:05d}.txt").write_text(caption * (1 + index % 3), encoding="utf-8")
    return _dataset({"image_directory": str(folder), "resolution": 64})


def _dataset(values: dict[str, Any], *others: dict[str, Any]) -> DatasetFile:
    folder = values.get("image_directory") or values["video_directory"]
    common = {"cache_directory": f"{folder}_cache", "enable_bucket": True}
    return parse_datasets({"datasets": [{**common, **values}, *others]})


def _write_small_caches(item: Any) -> None:
    width, height = item.bucket
    write_latent_cache(item.latent_path, torch.zeros(16, 1, height // 8, width // 8).half(), size=item.size)
    _write_text_cache(item.text_path, item.media.caption, tokens=2, width=2)


def _write_text_cache(path: Path, caption: str, *, tokens: int, width: int) -> None:
    states, mask = torch.zeros(tokens, width).half(), torch.ones(tokens, dtype=torch.int64)
    write_llm_cache(path, states, mask=mask, caption=caption)
    write_clip_cache(path, torch.zeros(768).half(), mask=torch.ones(77, dtype=torch.int64), caption=caption)


def _cached_batches(folder: Path, options: argparse.Namespace) -> list[Batch[CachedItem]]:
    """Batches of one clip of 25 frames at 960x544 with its text, as HunyuanVideo's encoders give them: 3.7 MiB."""
    frames, height, width = 7, 68, 120
    items = []
    for index in range(options.batches):
        latents, text = folder / f"{index}_00000-025_0960x0544_hv.safetensors", folder / f"{index}_hv_te.safetensors"
        values = torch.randn(16, frames, height, width).half()
        write_latent_cache(latents, values, size=(960, 544), frame_count=25)
        _write_text_cache(text, "a clip", tokens=256, width=4096)
        items.append(CachedItem(str(index), latents, text, (960, 544), 25))
    return [Batch((item,)) for item in items]


def _forget(paths: Iterable[Path]) -> None:
    """Let the system forget what it has read of these files; only Linux and others with posix_fadvise do."""
    os.sync()
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)


def _media_to_cache(folder: Path, options: argparse.Namespace, *, most: int | None = None) -> DatasetFile:
    """Photos of 1600x1200 and clips of 2 s at 640x360, trained at 256x256 in windows of 25 frames."""
    pictures, clips = (count if most is None else min(count, most) for count in (options.pictures, options.clips))
    generator = np.random.default_rng(0)
    for name in ("photos", "clips"):
        (folder / name).mkdir(parents=True)
    picture = generator.integers(0, 256, (150, 200, 3), dtype=np.uint8)
    for index in range(pictures):
        Image.fromarray(np.roll(picture, index, axis=1)).resize((1600, 1200)).save(folder / "photos" / f"{index}.jpg")
    for index in range(clips):
        _write_clip(folder / "clips" / f"{index}.mp4", generator)
    for path in [*folder.rglob("*.jpg"), *folder.rglob("*.mp4")]:
        path.with_suffix(".txt").write_text("a thing", encoding="utf-8")
    common = {"resolution": options.resolution, "enable_bucket": True}
    videos = {"video_directory": str(folder / "clips"), "cache_directory": str(folder / "clips_cache")}
    videos |= {"target_frames": [25], "frame_extraction": "head"}
    return _dataset({"image_directory": str(folder / "photos"), **common}, {**videos, **common})


def _write_clip(path: Path, generator: np.random.Generator) -> None:
    picture = np.asarray(Image.fromarray(generator.integers(0, 256, (45, 93, 3), dtype=np.uint8)).resize((744, 360)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for index in range(48):
            shown = np.ascontiguousarray(picture[:, 2 * index : 2 * index + 640])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(stream.encode())


def _encode(vae: Any, frames: np.ndarray) -> torch.Tensor:
    pixels = normalize_pixels(torch.from_numpy(frames[None]), device=vae.device, dtype=vae.dtype)
    return encode(vae, pixels, generators=[torch.Generator().manual_seed(0)]).cpu()


def _line(figures: Figures) -> str:
    shown = {name: value for name, value in figures.items() if name not in ("name", "seconds")}
    values = ", ".join(f"{name} {value:.4g}" for name, value in shown.items())
    return f"{figures['name']:42} {figures['seconds']:9.4f} s   {values}"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--files", type=int, default=20_000, help="photos of scan and preview")
    parser.add_argument("--batches", type=int, default=100, help="of batches and waiting")
    parser.add_argument("--pictures", type=int, default=200, help="of caching")
    parser.add_argument("--clips", type=int, default=20, help="of caching")
    parser.add_argument("--resolution", type=int, default=256, help="side in pixels, of caching")
    parser.add_argument("--batch_size", type=int, default=8, help="of caching in batches")
    parser.add_argument("--step_seconds", type=float, default=0.1, help="how long a step lasts, of waiting")
    parser.add_argument("--workers", type=int, default=max(2, (os.cpu_count() or 2) - 1), help="threads")
    parser.add_argument("--vae", type=Path, default=PROJECT / "presets" / "demo" / "models" / "vae.safetensors")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "float16", "bfloat16"), default="float32")
    parser.add_argument("--folder", help="where everything is made, on the disk that is to be measured")
    parser.add_argument("--json", help="write the figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
