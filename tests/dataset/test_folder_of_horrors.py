"""A folder of everything that real folders hold: what can be trained on is, the rest is named, and nothing ends it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backend.caching.latents import cache_latents, find_latent_work
from backend.config.dataset_models import DatasetFile, ImageDataset, VideoDataset
from backend.dataset.expected import expected_items
from backend.dataset.file_index import FileIndex
from backend.dataset.inspection import Inspection, inspect_datasets
from backend.dataset.media_facts import read_facts
from backend.dataset.pixels import read_image
from backend.dataset.thumbnails import Thumbnails
from backend.dataset.training_items import find_training_items
from backend.models.hunyuan_video.vae import load_vae
from tests.dataset.media import write_clip, write_picture, write_text

PROJECT = Path(__file__).parents[2]
LONGEST = "l" * 200  # with the ending of its cache a little under the 255 bytes that most file systems take
NAMES = (
    "a [b] {c}",
    "spa ce",
    " leading",
    "写真 ñ é",
    "quote'\"s",
    "semi;colon&",
    "100%",
    "new\nline",
    LONGEST,
)


@pytest.fixture(scope="module")
def vae():
    return load_vae(PROJECT / "tests" / "golden" / "vae_model.safetensors", device="cpu", dtype=torch.float32)


def inspect(*datasets: ImageDataset | VideoDataset, tmp_path: Path) -> Inspection:
    return inspect_datasets(DatasetFile(datasets=datasets), index=FileIndex(tmp_path / "index"))


def photos_of(folder: Path, **values: object) -> ImageDataset:
    return ImageDataset(image_directory=folder, resolution=(64, 48), enable_bucket=True, **values)


def outcome(found: Inspection) -> dict[str, str]:
    """What the list tells of each file: the first serious warning, or how many items it gives."""
    return {
        item.path.name: next((each.id for each in item.warnings if not each.is_harmless), f"gives {item.wanted}")
        for item in found.items
    }


@pytest.fixture
def horrors(tmp_path: Path) -> Path:
    """Pictures of every kind, good and bad, each with a caption."""
    folder = tmp_path / "photos [1] 写真"
    write_picture(folder / "good.jpg", (100, 80))
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("not a picture")
    whole = write_picture(folder / "cut.png", (101, 80))
    whole.write_bytes(whole.read_bytes()[:2000])
    whole = write_picture(folder / "cut.jpg", (101, 80))
    whole.rename(folder / "cut_jpeg.jpg")
    (folder / "cut_jpeg.jpg").write_bytes((folder / "cut_jpeg.jpg").read_bytes()[:1500])
    Image.new("CMYK", (102, 80), (0, 200, 200, 0)).save(folder / "cmyk.jpg")
    Image.fromarray(np.full((80, 103), 40000, np.uint16)).save(folder / "sixteen_bits.png")
    frames = [Image.new("RGB", (104, 80), color) for color in ("red", "blue")]
    frames[0].save(folder / "moves.webp", save_all=True, append_images=frames[1:], lossless=True)
    frames[0].save(folder / "gif_within.png", format="GIF", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 8
    write_picture(folder / "turned.jpg", (80, 106), exif=exif)
    exif[0x0112] = 99
    write_picture(folder / "turned_wrong.jpg", (107, 80), exif=exif)
    Image.new("P", (108, 80)).save(folder / "palette.png", transparency=0)
    Image.new("RGB", (109, 80)).save(folder / "a.avif")
    Image.new("RGB", (110, 80)).save(folder / "a.BMP", format="BMP")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "nowhere.png").symlink_to(folder / "gone.png")
    (folder / "linked.png").symlink_to(write_picture(tmp_path / "elsewhere.png", (111, 80)))
    (folder / "folder.png").mkdir()
    (folder / "._good.jpg").write_bytes(b"what macOS leaves")
    (folder / "in_itself").symlink_to(folder)
    for path in folder.iterdir():
        if path.suffix in (".png", ".jpg", ".webp", ".avif", ".BMP"):
            path.with_suffix(".txt").write_text(f"about {path.stem}", encoding="utf-8")
    return folder


def test_of_a_folder_of_horrors_each_file_is_told_and_what_is_good_is_trained_on(horrors: Path, tmp_path: Path) -> None:
    found = inspect(photos_of(horrors), tmp_path=tmp_path)

    assert outcome(found) == {
        "a.BMP": "same_stem",
        "a.avif": "same_stem",
        "cmyk.jpg": "gives 1",
        "cut.png": "unreadable",
        "cut_jpeg.jpg": "gives 1",  # its size can be read; what is wrong shows when it is decoded
        "empty.png": "unreadable",
        "gif_within.png": "gives 1",
        "good.jpg": "gives 1",
        "linked.png": "gives 1",
        "loop.png": "unreadable",
        "moves.webp": "gives 1",
        "nowhere.png": "unreadable",
        "palette.png": "gives 1",
        "sixteen_bits.png": "gives 1",
        "text.jpg": "unreadable",
        "turned.jpg": "gives 1",
        "turned_wrong.jpg": "gives 1",
    }


def test_a_folder_of_horrors_is_cached_but_for_the_files_that_are_damaged(horrors: Path, tmp_path: Path, vae) -> None:
    dataset = photos_of(horrors, cache_directory=tmp_path / "cache [1]")
    before = {path: path.read_bytes() for path in horrors.iterdir() if path.is_file()}
    work = find_latent_work(DatasetFile(datasets=(dataset,)), skip_existing=True)

    unread = cache_latents(work, vae, workers=2)

    unreadable = [problem.message.split(": ")[0] for problem in work.problems if "not a readable" in problem.message]
    assert [Path(path).name for path in unreadable] == ["cut.png", "empty.png", "loop.png", "nowhere.png", "text.jpg"]
    assert [problem.message.split(": ")[0] for problem in unread] == [str(horrors / "cut_jpeg.jpg")]
    cached = {path.name.split("_0")[0].split("_1")[0] for path in dataset.cache_folder.iterdir()}
    assert cached == {
        *("a", "cmyk", "gif_within", "good", "linked", "moves", "palette", "sixteen_bits", "turned", "turned_wrong")
    }
    assert {path: path.read_bytes() for path in horrors.iterdir() if path.is_file()} == before


def test_a_folder_of_horrors_has_thumbnails_of_what_can_be_seen(horrors: Path, tmp_path: Path) -> None:
    items = inspect(photos_of(horrors), tmp_path=tmp_path).items
    thumbnails = Thumbnails(tmp_path / "thumbnails")

    thumbnails.make_all([(item.path, item.media.kind) for item in items], workers=2)

    without = {item.path.name for item in items if thumbnails.find(item.path) is None}
    assert without == {"cut.png", "cut_jpeg.jpg", "empty.png", "loop.png", "nowhere.png", "text.jpg"}


def test_pixels_of_unusual_pictures_are_what_one_sees(horrors: Path) -> None:
    assert read_image(horrors / "sixteen_bits.png")[0, 0].tolist() == [156, 156, 156]
    assert read_image(horrors / "moves.webp")[0, 0].tolist() == [255, 0, 0]
    assert read_image(horrors / "gif_within.png")[0, 0].tolist() == [255, 0, 0]
    red = read_image(horrors / "cmyk.jpg")[0, 0]
    assert red[0] > 200 and red[1:].max() < 100
    for name in ("turned.jpg", "turned_wrong.jpg", "palette.png"):
        pixels = read_image(horrors / name)
        assert (pixels.shape[1], pixels.shape[0]) == read_facts(horrors / name, "image").size


@pytest.mark.parametrize("name", NAMES, ids=[ascii(name)[:12] for name in NAMES])
def test_any_file_name_is_cached_found_again_and_trained_on(tmp_path: Path, vae, name: str) -> None:
    write_picture(tmp_path / "photos" / f"{name}.png", (64, 48), caption=f"about {name}")
    write_clip(tmp_path / "photos" / f"{name}.mp4", (64, 48), frames=5)
    photos = photos_of(tmp_path / "photos", cache_directory=tmp_path / "cache" / "[photos]")
    clips = VideoDataset(
        video_directory=tmp_path / "photos",
        cache_directory=tmp_path / "cache" / "clips *",
        resolution=(64, 48),
        target_frames=(5,),
    )
    file = DatasetFile(datasets=(photos, clips))

    assert cache_latents(find_latent_work(file, skip_existing=True), vae) == []
    for dataset in file.datasets:
        write_text(expected_items(dataset)[0][0].text_path)

    assert [[item.stem for item in each.ready] for each in find_training_items(file.datasets)] == [[name], [name]]
    assert [item.cache for item in inspect(*file.datasets, tmp_path=tmp_path).items] == ["cached", "cached"]
    assert find_latent_work(file, skip_existing=True).pending_count == 0


def test_a_name_that_leaves_no_room_for_that_of_its_cache_is_told_and_the_others_are_cached(
    tmp_path: Path, vae
) -> None:
    for name in ("x" * 250, "short"):
        write_picture(tmp_path / "photos" / f"{name}.png", (64, 48))
    file = DatasetFile(datasets=(photos_of(tmp_path / "photos", cache_directory=tmp_path / "cache"),))
    work = find_latent_work(file, skip_existing=True)

    cache_latents(work, vae)

    assert "the name of its cache would be too long" in work.problems[0].message
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["short_0064x0048_hv.safetensors"]
    assert outcome(inspect(*file.datasets, tmp_path=tmp_path))["x" * 250 + ".png"] == "name_too_long"


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "sound_only"])
def test_damaged_clips_are_told_and_the_others_are_trained_on(tmp_path: Path, vae, damage: str) -> None:
    clips = tmp_path / "clips"
    write_clip(clips / "good.mp4", (64, 48), frames=9)
    bad = write_clip(clips / "bad.mp4", (64, 48), frames=9)
    content = bad.read_bytes()
    match damage:
        case "empty":
            bad.write_bytes(b"")
        case "text":
            bad.write_text("not a clip")
        case "cut":
            bad.write_bytes(content[: len(content) // 2])
        case "sound_only":
            _write_sound(bad)
    dataset = VideoDataset(
        video_directory=clips, cache_directory=tmp_path / "cache", resolution=(64, 48), target_frames=(5, 9)
    )
    file = DatasetFile(datasets=(dataset,))
    work = find_latent_work(file, skip_existing=True)

    unread = cache_latents(work, vae, workers=1)

    assert outcome(inspect(dataset, tmp_path=tmp_path)) == {"bad.mp4": "unreadable", "good.mp4": "gives 2"}
    (problem,) = (*work.problems, *unread)
    assert problem.message.split(": ")[1] == "not a readable clip"
    assert ("only sound" in problem.message) == (damage == "sound_only")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def _write_sound(path: Path) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may look into, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o777)
    shutil.rmtree(folder)


def run_without_rights(imports: str, program: str, folder: Path) -> str:
    """What a program prints that may only do what file permissions allow; the superuser may do anything.

    All is imported before, as the interpreter itself may lie where only the superuser may look."""
    code = (
        f"import encodings.utf_8_sig, os, sys\nsys.path.insert(0, {str(PROJECT)!r})\n"
        "from pathlib import Path\nfrom PIL import Image\n"
        f"{imports}\nImage.init()\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"folder = Path({str(folder)!r})\n{program}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_files_that_may_not_be_read_are_told_and_the_others_are_trained_on(open_folder: Path) -> None:
    for name in ("good", "secret", "secret_caption"):
        write_picture(open_folder / "photos" / f"{name}.png", (64, 48 + len(name)))
    (open_folder / "photos" / "secret.png").chmod(0)
    (open_folder / "photos" / "secret_caption.txt").chmod(0)

    told = run_without_rights(
        "from backend.dataset.inspection import inspect_datasets\n"
        "from backend.dataset.file_index import FileIndex\n"
        "from backend.config.dataset import parse_datasets\n",
        "file = parse_datasets({'datasets': [{'image_directory': str(folder / 'photos'), 'resolution': [64, 48]}]})\n"
        "for item in inspect_datasets(file, index=FileIndex(folder / 'index')).items:\n"
        "    print(item.path.name, item.wanted, [each.message for each in item.warnings if not each.is_harmless])\n",
        open_folder,
    ).splitlines()

    assert told[0].startswith("good.png 1")
    assert told[1] == "secret.png 0 ['cannot be read: not a readable picture: Permission denied']"
    assert told[2].startswith("secret_caption.png 0 ['the caption cannot be read: Permission denied, so it is not")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_folder_that_is_read_only_is_looked_at_and_writing_into_it_is_refused_by_name(open_folder: Path) -> None:
    write_picture(open_folder / "photos" / "a.png", (64, 48))
    (open_folder / "closed").mkdir(mode=0)
    (open_folder / "photos").chmod(0o555)

    told = run_without_rights(
        "from backend.config.dataset_models import ImageDataset\n"
        "from backend.dataset.items import find_items\n"
        "from backend.dataset.captions import set_caption\n"
        "from backend.dataset.caption_files import CaptionFiles\n"
        "from backend.dataset.propose import propose_datasets\n"
        "from backend.dataset.thumbnails import Thumbnails\n"
        "from backend.errors import DatasetError\n",
        "(item,) = find_items(ImageDataset(image_directory=folder / 'photos'))\n"
        "print(Thumbnails(folder / 'thumbnails').make(item.path, 'image').is_file())\n"
        "(proposed,) = propose_datasets(folder / 'photos', cache_root=folder / 'caches')\n"
        "print(proposed.counted, Path(proposed.values['cache_directory']).parent == folder / 'caches')\n"
        "for attempt in (\n"
        "    lambda: CaptionFiles(folder / 'record').write(set_caption(item, 'new'), what='set'),\n"
        "    lambda: find_items(ImageDataset(image_directory=folder / 'closed')),\n"
        "):\n"
        "    try:\n"
        "        attempt()\n"
        "    except DatasetError as error:\n"
        "        print(error)\n",
        open_folder,
    ).splitlines()

    assert told == [
        "True",
        "1 True",
        f"{open_folder}/photos/a.txt: cannot be written: Permission denied (is the folder read-only?)",
        f"{open_folder}/closed: cannot be looked into: Permission denied",
    ]
    assert sorted(path.name for path in (open_folder / "photos").iterdir()) == ["a.png", "a.txt"]
