"""What is shown before a training is what the trainer then does: for 50 generated datasets, group by group."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.commands.training_data import load_data
from backend.config.configuration import Configuration
from backend.config.dataset import read_dataset_file
from backend.dataset.batches import epoch_batches
from backend.dataset.count import count_dataset
from backend.dataset.expected import expected_items
from backend.dataset.file_index import FileIndex
from backend.dataset.inspection import inspect_datasets
from backend.dataset.item_preview import as_jpeg, crop_box, seen_by_training
from backend.dataset.pixels import fit_to_bucket, read_image, read_windows
from backend.dataset.windows import FrameWindow
from backend.errors import DatasetError
from tests.dataset.media import write_caches, write_clip, write_picture

CLIP_LENGTHS = (1, 4, 9, 21, 40)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures and clips of many shapes, of which each dataset takes some by links."""
    folder = tmp_path_factory.mktemp("media")
    generator = random.Random(1)
    for index in range(12):
        size = generator.randrange(8, 160, 2), generator.randrange(8, 160, 2)
        write_picture(folder / f"photo {index}.png", size, caption=f"picture {index}")
    for index, frames in enumerate(CLIP_LENGTHS):
        write_clip(folder / f"clip_{index}.mp4", (64 + 16 * index, 64), frames=frames, caption=f"clip {index}")
    return folder


def make_dataset_file(folder: Path, media: Path, generator: random.Random) -> Path:
    """A file of one to three datasets, each of some of the media and with settings of its own."""
    lines = ["[general]", f"resolution = {generator.choice(['[64, 48]', '96', '[48, 80]'])}"]
    lines.append(f"enable_bucket = {generator.choice(['true', 'false'])}")
    for number in range(generator.randint(1, 3)):
        kind = generator.choice(["image", "video"])
        own = folder / f"{kind} [{number}]"
        own.mkdir(parents=True)
        files = sorted(media.glob("*.png" if kind == "image" else "*.mp4"))
        for path in generator.sample(files, generator.randint(1, len(files))):
            (own / path.name).symlink_to(path)
            (own / f"{path.stem}.txt").symlink_to(path.with_suffix(".txt"))
        lines += ["[[datasets]]", f"{kind}_directory = '{own}'", f"cache_directory = '{own}/cache'"]
        lines += [f"batch_size = {generator.randint(1, 4)}", f"num_repeats = {generator.randint(1, 3)}"]
        lines += (
            [f"bucket_no_upscale = {generator.choice(['true', 'false'])}"] if "enable_bucket = true" in lines else []
        )
        if kind == "video":
            lines += [f"target_frames = {generator.sample([1, 5, 9, 10, 25], generator.randint(1, 3))}"]
            lines += [f"frame_extraction = '{generator.choice(['head', 'chunk', 'slide', 'uniform', 'full'])}'"]
            lines += [f"frame_stride = {generator.randint(2, 6)}", f"frame_sample = {generator.randint(1, 4)}"]
            lines += generator.choice([[], ["source_fps = 30.0"], ["source_fps = 60.0"]])
    (folder / "dataset.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "dataset.toml"


def described(groups) -> list[tuple]:
    return [
        (group.dataset_number, group.bucket, group.frame_count, group.num_repeats, group.batch_size, stems(group))
        for group in groups
    ]


def stems(group) -> list[str]:
    return [item.latent_path.name for item in group.items]


@pytest.mark.parametrize("number", range(50))
def test_the_buckets_and_batches_shown_are_those_of_the_trainer(tmp_path: Path, media: Path, number: int) -> None:
    generator = random.Random(number)
    path = make_dataset_file(tmp_path, media, generator)
    file = read_dataset_file(path)
    shown = inspect_datasets(file, index=FileIndex(tmp_path / "index"))
    count, _ = count_dataset(path)
    for dataset in file.datasets:
        for item in expected_items(dataset)[0]:
            write_caches(item)
    configuration = Configuration.from_values({"dataset_config": str(path)})
    if not shown.groups:  # every clip is too short for the windows
        with pytest.raises(DatasetError, match="nothing of it can be trained on"):
            load_data(configuration, seed=number, tell=False)
        return

    data = load_data(configuration, seed=number, tell=False)
    batches = epoch_batches(data.groups, seed=number, epoch=1)

    assert described(shown.groups) == described(data.groups)
    assert shown.batches_per_epoch == count.batches == data.steps.batches_per_epoch == len(batches)
    assert count.items_with_repeats == data.items_with_repeats == sum(len(batch.items) for batch in batches)
    wanted = Counter(item.latent_path for group in data.groups for item in group.items * group.num_repeats)
    assert Counter(item.latent_path for batch in batches for item in batch.items) == wanted
    again = inspect_datasets(file, index=FileIndex(tmp_path / "index"))
    assert described(again.groups) == described(shown.groups)
    assert {item.cache for item in again.items} <= {"cached", "none"}
    assert sum(item.ready for item in again.items) == sum(len(group.items) for group in data.groups)


def test_the_order_of_batches_does_not_depend_on_the_order_in_which_files_were_made(tmp_path: Path) -> None:
    orders = []
    names = [f"{index:02}" for index in range(20)]
    for attempt in range(2):
        folder = tmp_path / str(attempt)
        for name in names if attempt == 0 else reversed(names):
            write_picture(folder / f"{name}.png", (64, 48 + 16 * (int(name) % 3)))
        path = folder / "dataset.toml"
        path.write_text(
            f"[[datasets]]\nimage_directory = '{folder}'\ncache_directory = '{folder}/cache'\n"
            "resolution = 64\nenable_bucket = true\nbatch_size = 2\nnum_repeats = 2\n"
        )
        items = expected_items(read_dataset_file(path).datasets[0])[0]
        for item in items if attempt == 0 else reversed(items):
            write_caches(item)
        groups = load_data(Configuration.from_values({"dataset_config": str(path)}), seed=7, tell=False).groups
        orders.append(
            [
                [item.stem for item in batch.items]
                for epoch in (1, 2)
                for batch in epoch_batches(groups, seed=7, epoch=epoch)
            ]
        )
    assert orders[0] == orders[1]


def test_a_picture_is_shown_as_caching_fits_it(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png", (100, 60))

    shown = seen_by_training(path, "image", bucket=(48, 64))

    assert np.array_equal(shown, fit_to_bucket(read_image(path), (48, 64)))
    content = as_jpeg(shown)
    (tmp_path / "shown.jpg").write_bytes(content)
    with Image.open(tmp_path / "shown.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (48, 64))


def test_a_frame_of_a_clip_is_shown_as_caching_fits_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=20)
    ((_, frames),) = read_windows(path, [FrameWindow(3, 5)], bucket=(32, 32), source_fps=30)

    assert np.array_equal(seen_by_training(path, "video", bucket=(32, 32), frame=5, source_fps=30), frames[2])


@pytest.mark.parametrize(("size", "bucket"), [((100, 60), (48, 64)), ((30, 30), (64, 64)), ((64, 64), (64, 64))])
def test_the_part_that_stays_has_the_shape_of_the_bucket_and_lies_in_the_middle(size, bucket) -> None:
    box = crop_box(size, bucket)

    assert box.width / box.height == pytest.approx(bucket[0] / bucket[1], rel=0.02)
    assert box.x + box.width / 2 == pytest.approx(size[0] / 2, abs=1)
    assert box.y + box.height / 2 == pytest.approx(size[1] / 2, abs=1)
    assert box.scale == pytest.approx(max(bucket[0] / size[0], bucket[1] / size[1]), rel=0.02)
