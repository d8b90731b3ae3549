"""Kinds of pictures that Pillow may need a plugin for: read with it, and told what to install without it."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backend.caching.latents import cache_latents, find_latent_work
from backend.config.dataset_models import DatasetFile, ImageDataset
from backend.dataset.file_index import FileIndex
from backend.dataset.inspection import inspect_datasets
from backend.dataset.media_files import missing_plugin
from backend.dataset.pixels import read_image
from backend.dataset.thumbnails import Thumbnails
from backend.models.hunyuan_video.vae import load_vae

PROJECT = Path(__file__).parents[2]
HAS_JXL = find_spec("pillow_jxl") is not None


@pytest.mark.parametrize(
    "ending",
    [".avif", pytest.param(".jxl", marks=pytest.mark.skipif(not HAS_JXL, reason="needs pillow-jxl-plugin"))],
)
def test_pictures_of_this_kind_are_listed_shown_and_cached(tmp_path: Path, ending: str) -> None:
    assert missing_plugin(Path(f"a{ending}")) == ""
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.full((48, 64, 3), (200, 30, 90), np.uint8)
    Image.fromarray(pixels).save(folder / f"a{ending}")
    whole = (folder / f"a{ending}").read_bytes()
    (folder / f"cut{ending}").write_bytes(whole[: len(whole) // 2])
    (folder / f"text{ending}").write_text("no picture")
    for name in ("a", "cut", "text"):
        (folder / f"{name}.txt").write_text("a thing")
    dataset = ImageDataset(image_directory=folder, cache_directory=tmp_path / "cache", resolution=(64, 48))
    file = DatasetFile(datasets=(dataset,))
    vae = load_vae(PROJECT / "tests" / "golden" / "vae_model.safetensors", device="cpu", dtype=torch.float32)

    found = {item.path.name: item for item in inspect_datasets(file, index=FileIndex()).items}
    cache_latents(find_latent_work(file, skip_existing=True), vae)

    assert found[f"a{ending}"].facts.size == (64, 48)
    assert found[f"text{ending}"].warnings[0].id == "unreadable"
    assert np.abs(read_image(folder / f"a{ending}").astype(int) - pixels).max() <= 8
    assert Thumbnails(tmp_path / "thumbnails").make(folder / f"a{ending}", "image").is_file()
    assert [path.name for path in dataset.cache_folder.iterdir()] == ["a_0064x0048_hv.safetensors"]


WITHOUT_PLUGIN = """
import sys
sys.modules["pillow_jxl"] = sys.modules["pillow_avif"] = None  # as where they are not installed
from pathlib import Path
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in ("pillow_jxl", "pillow_avif") else find_spec(name, *rest)
from backend.config.dataset import parse_datasets
from backend.dataset.file_index import FileIndex
from backend.dataset.inspection import inspect_datasets
values = {"image_directory": sys.argv[1], "resolution": 64}
index = FileIndex(Path(sys.argv[2]))
for item in inspect_datasets(parse_datasets({"datasets": [values]}), index=index).items:
    print(item.path.name, item.wanted, *(warning.message for warning in item.warnings))
"""


def test_without_its_plugin_a_picture_tells_what_to_install_and_is_read_as_soon_as_it_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (64, 64)).save(folder / "b.png")
    for name in ("a.jxl", "b.jxl"):
        (folder / name).write_bytes(b"\xff\x0a not read here")
    for name in ("a", "b"):
        (folder / f"{name}.txt").write_text("a thing")

    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PLUGIN, str(folder), str(tmp_path / "index")],
        capture_output=True, text=True, cwd=PROJECT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines())

    assert told["a.jxl"] == "0 cannot be read: Pillow needs pillow-jxl-plugin to read .jxl files"
    assert told["b.png"].startswith("1 ")  # not left out for one of the same name that cannot be read
    assert FileIndex(tmp_path / "index").known_facts(folder / "a.jxl", "image") is None
