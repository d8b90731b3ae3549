"""The count of a dataset before a training."""

import shutil

import pytest

from backend.config.dataset import read_dataset_file
from backend.dataset.cached import find_cached_items
from backend.dataset.count import count_dataset
from backend.dataset.expected import expected_items
from backend.errors import DatasetError
from tests.dataset.media import write_caches, write_clip, write_picture


@pytest.fixture
def dataset_file(tmp_path):
    for number, size in enumerate([(64, 64), (96, 48), (48, 96), (64, 64)]):
        write_picture(tmp_path / "photos" / f"{number}.png", size)
    for name, frames in (("long", 30), ("short", 9)):
        write_clip(tmp_path / "clips" / f"{name}.mp4", (64, 48), frames=frames)
    path = tmp_path / "dataset.toml"
    path.write_text(
        "[general]\nresolution = [64, 64]\nenable_bucket = true\n"
        f"[[datasets]]\nimage_directory = '{tmp_path / 'photos'}'\nbatch_size = 2\nnum_repeats = 2\n"
        f"[[datasets]]\nvideo_directory = '{tmp_path / 'clips'}'\ntarget_frames = [1, 9]\nframe_extraction = 'chunk'\n"
    )
    return path


def all_expected(dataset_file):
    return [item for dataset in read_dataset_file(dataset_file).datasets for item in expected_items(dataset)[0]]


def test_media_are_counted_before_anything_is_cached(dataset_file):
    count, problems = count_dataset(dataset_file)
    expected = all_expected(dataset_file)
    windows = sum(item.window is not None for item in expected)
    assert (count.images, count.windows) == (4, windows)
    assert count.items_with_repeats == 2 * 4 + windows
    assert count.batches == 4 + windows  # pictures of three shapes, twice each: 2 + 1 + 1 batches of 2
    assert count.missing == len(expected)
    assert [problem for problem in problems if problem.severity == "error"] == []


def test_the_count_of_what_is_cached_is_the_one_that_was_expected(dataset_file):
    before, _ = count_dataset(dataset_file)
    for item in all_expected(dataset_file):
        write_caches(item)
    after, problems = count_dataset(dataset_file)
    assert after.missing == 0 and problems == ()
    assert (after.images, after.windows, after.items_with_repeats, after.batches) == (
        before.images,
        before.windows,
        before.items_with_repeats,
        before.batches,
    )
    cached = [item for dataset in read_dataset_file(dataset_file).datasets for item in find_cached_items(dataset)[0]]
    assert after.images + after.windows == len(cached)


def test_what_is_not_cached_yet_is_missing(dataset_file):
    expected = all_expected(dataset_file)
    for item in expected:
        write_caches(item)
    expected[0].latent_path.unlink()
    assert count_dataset(dataset_file)[0].missing == 1


def test_a_cached_dataset_can_be_counted_without_its_media(dataset_file, tmp_path):
    cache = f"cache_directory = '{tmp_path / 'cache'}'"
    text = dataset_file.read_text().replace("batch_size = 2", f"batch_size = 2\n{cache}")
    dataset_file.write_text(text.split("[[datasets]]\nvideo")[0])
    for item in all_expected(dataset_file):
        write_caches(item)
    shutil.rmtree(tmp_path / "photos")
    count, problems = count_dataset(dataset_file)
    assert (count.images, count.missing, problems) == (4, 0, ())


def test_a_photo_that_was_removed_is_no_longer_counted_and_its_cache_is_named(dataset_file, tmp_path):
    for item in all_expected(dataset_file):
        write_caches(item)
    assert count_dataset(dataset_file)[0].images == 4
    (tmp_path / "photos" / "1.png").unlink()
    count, (problem,) = count_dataset(dataset_file)
    assert (count.images, count.missing) == (3, 0)
    assert "1 of 4: 1_0096x0048_hv.safetensors; not trained on" in problem.message


def test_a_caption_that_is_written_to_is_missing_until_it_is_cached_again(dataset_file, tmp_path):
    for item in all_expected(dataset_file):
        write_caches(item)
    assert count_dataset(dataset_file)[0].missing == 0
    (tmp_path / "clips" / "short.txt").write_text("another text")
    count, problems = count_dataset(dataset_file)
    assert count.missing == 10  # all windows of the clip
    assert [problem.message.split(": ", 1)[1] for problem in problems] == ["caption changed since it was cached"]


def test_a_picture_that_is_added_is_counted(dataset_file, tmp_path):
    assert count_dataset(dataset_file)[0].images == 4
    write_picture(tmp_path / "photos" / "new.png", (64, 64))
    assert count_dataset(dataset_file)[0].images == 5


def test_a_line_that_is_added_to_a_list_is_counted(tmp_path):
    pictures = [write_picture(tmp_path / "photos" / f"{number}.png", (64, 64)) for number in range(2)]
    lines = [f'{{"image_path": "{path.as_posix()}", "caption": "x"}}\n' for path in pictures]
    (tmp_path / "list.jsonl").write_text(lines[0])
    (tmp_path / "dataset.toml").write_text(
        f"[[datasets]]\nimage_jsonl_file = '{tmp_path / 'list.jsonl'}'\ncache_directory = '{tmp_path / 'cache'}'\n"
        "resolution = [64, 64]\n"
    )
    assert count_dataset(tmp_path / "dataset.toml")[0].images == 1
    (tmp_path / "list.jsonl").write_text("".join(lines))
    assert count_dataset(tmp_path / "dataset.toml")[0].images == 2


def test_a_dataset_file_that_is_changed_is_counted_anew(dataset_file):
    before, _ = count_dataset(dataset_file)
    dataset_file.write_text(dataset_file.read_text().replace("num_repeats = 2", "num_repeats = 5"))
    assert count_dataset(dataset_file)[0].items_with_repeats == before.items_with_repeats + 3 * 4


def test_mistakes_in_the_file_are_raised(tmp_path):
    with pytest.raises(DatasetError, match=r"absent\.toml"):
        count_dataset(tmp_path / "absent.toml")
