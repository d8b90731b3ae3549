"""Inspection: every item with what is doubtful about it, and the same numbers that the trainer has."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.config.dataset import parse_datasets
from backend.config.dataset_models import DatasetFile
from backend.dataset.expected import expected_items
from backend.dataset.file_index import FileIndex
from backend.dataset.inspection import Inspection, ItemReport, inspect_datasets
from backend.dataset.item_warnings import SENTENCES
from backend.dataset.origin import Encoders
from backend.dataset.windows import FrameWindow
from tests.dataset.media import write_caches, write_clip, write_latents, write_picture, write_text


def inspect(tmp_path: Path, **values: object) -> Inspection:
    key = next(key for key in values if key.endswith("directory"))
    entry = {"cache_directory": str(tmp_path / "cache"), "resolution": [64, 64], "enable_bucket": True, **values}
    entry[key] = str(entry[key])
    return inspect_datasets(parse_datasets({"datasets": [entry]}), index=FileIndex(tmp_path / "index"))


def warnings_of(inspection: Inspection) -> dict[str, list[str]]:
    return {item.path.name: [warning.id for warning in item.warnings] for item in inspection.items}


def report(inspection: Inspection, name: str) -> ItemReport:
    return next(item for item in inspection.items if item.path.name == name)


def test_pictures_are_told_with_all_that_is_doubtful(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    write_picture(photos / "good.png", (90, 80))
    write_picture(photos / "no_caption.png", (91, 80), caption=None)
    write_picture(photos / "empty_caption.png", (92, 80), caption=" ")
    write_picture(photos / "long_caption.png", (93, 80), caption="word " * 60)
    write_picture(photos / "longer_caption.png", (93, 82), caption="word " * 250)
    write_picture(photos / "bad_caption.png", (94, 80)).with_suffix(".txt").write_bytes(b"\xff")
    write_picture(photos / "small.png", (30, 30))
    write_picture(photos / "wide.png", (800, 80))
    write_picture(photos / "same.png", (95, 80))
    write_picture(photos / "same.jpg", (96, 80))
    shutil.copy(photos / "good.png", photos / "z_copy.png")
    shutil.copy(photos / "good.txt", photos / "z_copy.txt")
    exif = Image.Exif()
    exif[0x0112] = 6
    write_picture(photos / "turned.jpg", (97, 80), exif=exif)
    Image.fromarray(np.zeros((80, 90, 4), np.uint8)).save(photos / "alpha.png")
    (photos / "alpha.txt").write_text("x")
    Image.new("RGB", (80, 80)).save(
        photos / "moves.webp", save_all=True, append_images=[Image.new("RGB", (80, 80), "red")]
    )
    (photos / "moves.txt").write_text("x")
    (photos / "broken.png").write_bytes(b"text")
    (photos / "broken.txt").write_text("x")

    found = inspect(tmp_path, image_directory=photos)

    assert warnings_of(found) == {
        "alpha.png": ["alpha"],
        "bad_caption.png": ["caption_unreadable"],
        "broken.png": ["unreadable"],
        "empty_caption.png": ["caption_empty"],
        "good.png": [],
        "long_caption.png": ["caption_cut_by_clip"],
        "longer_caption.png": ["caption_cut_by_llm", "caption_cut_by_clip"],
        "moves.webp": ["animated"],
        "no_caption.png": ["caption_missing"],
        "same.jpg": ["same_stem"],
        "same.png": ["same_stem"],
        "small.png": ["enlarged"],
        "turned.jpg": ["turned"],
        "wide.png": ["extreme_ratio"],
        "z_copy.png": ["duplicate"],
    }
    assert {warning.id for item in found.items for warning in item.warnings} <= set(SENTENCES)
    assert report(found, "z_copy.png").warnings[0].message == "holds the same as good.png"
    assert report(found, "small.png").warnings[0].message == "30x30 pixels are enlarged to fill 64x64"
    assert report(found, "wide.png").warnings[0].message == "800x80 is very wide; 60 % of it is cut off"
    assert report(found, "broken.png").warnings[0].message.startswith("cannot be read: not a readable picture: ")
    assert report(found, "turned.jpg").facts.size == (80, 97)
    assert report(found, "turned.jpg").bucket == (64, 64)
    left_out = {item.path.name for item in found.items if not item.wanted}
    assert left_out == {"bad_caption.png", "broken.png", "no_caption.png", "same.png"}


def test_clips_are_told_with_frames_windows_and_what_is_too_short(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    write_clip(clips / "long.mp4", (80, 64), frames=20)
    write_clip(clips / "short.mkv", (80, 64), frames=6)

    found = inspect(tmp_path, video_directory=clips, target_frames=[5, 9], frame_extraction="chunk")

    long, short = found.items
    assert (long.facts.frames, long.facts.fps, long.facts.duration_s) == (20, 24.0, pytest.approx(20 / 24))
    starts = [(0, 5), (0, 9), (5, 5), (9, 9), (10, 5), (15, 5)]
    assert long.windows == tuple(FrameWindow(*each) for each in starts)
    assert (short.windows, [warning.message for warning in short.warnings]) == (
        (FrameWindow(0, 5),),
        ["6 frames, but target_frames asks for 9"],
    )


def test_a_picture_below_the_least_side_is_not_trained_on(tmp_path: Path) -> None:
    write_picture(tmp_path / "photos" / "a.png", (100, 10))

    found = inspect(tmp_path, image_directory=tmp_path / "photos", bucket_no_upscale=True)

    assert [warning.id for warning in found.items[0].warnings] == ["too_small"]
    assert (found.items[0].bucket, found.items[0].wanted, found.items[0].cache) == (None, 0, "none")


def test_caches_are_missing_cached_or_stale(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("a", "b", "c"):
        write_picture(photos / f"{name}.png", (64, 64 + ord(name)), caption=f"picture {name}")
    (dataset,) = datasets(tmp_path, photos).datasets
    for item in expected_items(dataset)[0][:2]:
        write_caches(item)
    (photos / "b.txt").write_text("another picture")

    found = inspect(tmp_path, image_directory=photos)

    assert [(item.cache, item.ready, item.wanted) for item in found.items] == [
        ("cached", 1, 1),
        ("stale", 0, 1),
        ("missing", 0, 1),
    ]
    assert "caption changed since it was cached" in found.items[1].cache_problems[0].message


def datasets(tmp_path: Path, photos: Path) -> DatasetFile:
    entry = {"image_directory": str(photos), "cache_directory": str(tmp_path / "cache")}
    return parse_datasets({"datasets": [{**entry, "resolution": [64, 64], "enable_bucket": True}]})


def test_a_missing_folder_is_a_problem_and_the_other_datasets_are_shown(tmp_path: Path) -> None:
    write_picture(tmp_path / "photos" / "a.png", (64, 64))
    file = parse_datasets(
        {
            "datasets": [
                {"image_directory": str(tmp_path / "none")},
                {"image_directory": str(tmp_path / "photos")},
            ]
        }
    )

    found = inspect_datasets(file, index=FileIndex())

    assert [(item.dataset_number, item.path.name) for item in found.items] == [(2, "a.png")]
    assert found.problems[0].message == f"dataset 1: {tmp_path / 'none'}: no such folder"
    assert found.batches_per_epoch == 1


def test_progress_counts_all_files_and_can_end_the_inspection(tmp_path: Path) -> None:
    for index in range(5):
        write_picture(tmp_path / "photos" / f"{index}.png", (64, 64 + index))
    told = []

    def progress(stage: str, done: int, total: int) -> None:
        told.append((stage, done, total))
        if done == 3:
            raise InterruptedError

    file = datasets(tmp_path, tmp_path / "photos")
    with pytest.raises(InterruptedError):
        inspect_datasets(file, index=FileIndex(tmp_path / "index"), progress=progress, workers=0)
    assert told == [("files", 1, 5), ("files", 2, 5), ("files", 3, 5)]
    index = FileIndex(tmp_path / "index")
    known = [index.known_facts(path, "image") is not None for path in sorted((tmp_path / "photos").glob("*.png"))]
    assert known == [True, True, True, False, False]  # what was read is not read again


def test_progress_tells_of_files_then_caches_then_possible_copies(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for index in range(3):
        write_picture(photos / f"{index}.bmp", (64, 64 + 2 * (index // 2)))
    shutil.copy(photos / "0.bmp", photos / "copy.bmp")
    shutil.copy(photos / "0.txt", photos / "copy.txt")
    with (photos / "1.bmp").open("r+b") as file:
        file.write(b"X")  # of the same size as two others, but another
    told = []

    inspect_datasets(
        datasets(tmp_path, photos), index=FileIndex(), progress=lambda *values: told.append(values), workers=0
    )

    files, caches = [("files", done, 4) for done in (1, 2, 3, 4)], [("caches", done, 3) for done in (1, 2, 3)]
    assert told == [*files, *caches, *(("copies", done, 3) for done in (1, 2, 3)), ("copies", 1, 2), ("copies", 2, 2)]


def test_what_was_compared_is_not_read_again_after_the_inspection_was_ended(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("a", "b"):
        write_picture(photos / f"{name}.bmp", (64, 64))

    def progress(stage: str, done: int, _total: int) -> None:
        if (stage, done) == ("copies", 1):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        inspect_datasets(datasets(tmp_path, photos), index=FileIndex(tmp_path / "index"), progress=progress)

    def compute(_path: Path) -> str:
        return "read again"

    index = FileIndex(tmp_path / "index")
    assert [index.digest(photos / f"{name}.bmp", "sample", compute) == "read again" for name in ("a", "b")] == [
        False,
        True,
    ]


def test_caches_by_other_encoders_are_stale_and_those_that_do_not_tell_are_not(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for name in ("a", "b"):
        write_picture(photos / f"{name}.png", (64, 64 + ord(name)), caption=f"picture {name}")
    file = datasets(tmp_path, photos)
    told, silent = expected_items(file.datasets[0])[0]
    write_latents(told.latent_path, told.bucket, metadata={"encoder": "vae 1"})
    write_text(told.text_path, caption="picture a", metadata={"encoder_llm": "llm 1", "encoder_clipL": "clip 1"})
    write_caches(silent)

    def states(**encoders: str) -> tuple[list[str], list[str]]:
        items = inspect_datasets(file, index=FileIndex(), encoders=Encoders(**encoders)).items
        return [item.cache for item in items], [problem.message for problem in items[0].cache_problems]

    assert states() == states(vae="vae 1", llm="llm 1", clip="clip 1") == (["cached", "cached"], [])
    assert states(vae="vae 2") == (
        ["stale", "cached"],
        [f"{told.latent_path}: cached with another autoencoder or other tiling (vae 1, now vae 2)"],
    )
    assert states(llm="llm 1 fp8") == (
        ["stale", "cached"],
        [f"{told.text_path}: llm was made by another text encoder (llm 1, now llm 1 fp8)"],
    )
    assert states(clip="clip 2")[1] == [
        f"{told.text_path}: clipL was made by another text encoder (clip 1, now clip 2)"
    ]


def test_without_media_what_is_cached_is_what_training_sees(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for index in range(3):
        write_picture(photos / f"{index}.png", (64, 64))
    file = datasets(tmp_path, photos)
    for item in expected_items(file.datasets[0])[0]:
        write_caches(item)
    shutil.rmtree(photos)
    photos.mkdir()

    found = inspect_datasets(file, index=FileIndex())

    assert found.items == ()
    assert [(group.bucket, len(group.items)) for group in found.groups] == [((64, 64), 3)]


def test_pictures_of_kinds_that_are_not_read_are_counted(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    write_picture(photos / "a.png", (64, 64))
    for name in ("a.HEIC", "b.heic", "c.gif", "notes.md"):
        (photos / name).write_bytes(b"")

    (problem,) = inspect(tmp_path, image_directory=photos).problems

    assert problem.message == f"{photos}: not trained on, of kinds that are not read: 1 .gif, 2 .heic"
    assert problem.severity == "warning"
