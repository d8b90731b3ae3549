"""A dataset of one picture that is cached, with latents and text outputs of zeros, and options that train on it."""

from __future__ import annotations

from pathlib import Path

from backend.config.configuration import Configuration
from backend.config.dataset import read_dataset_file
from backend.dataset.expected import expected_items
from tests.commands.tiny_project import TRANSFORMER
from tests.dataset.media import write_caches, write_picture


def cached_dataset(folder: Path) -> Configuration:
    """Options of a training that needs no caching, with the models that caching would need."""
    write_picture(folder / "photos" / "a.png", (64, 64))
    dataset_file = folder / "dataset.toml"
    dataset_file.write_text(
        f"[[datasets]]\nimage_directory = '{folder / 'photos'}'\nresolution = 64\ncaption_extension = '.txt'\n",
        encoding="utf-8",
    )
    for dataset in read_dataset_file(dataset_file).datasets:
        for item in expected_items(dataset)[0]:
            write_caches(item)
    models = {"dit": TRANSFORMER, "vae": TRANSFORMER.with_name("vae_model.safetensors"), "dataset_config": dataset_file}
    encoders = {"text_encoder1": folder, "text_encoder2": folder}
    options = {name: str(path) for name, path in {**models, **encoders}.items()}
    return Configuration.from_values({**options, "output_name": "fox"})


def change_caption(folder: Path) -> None:
    """Make the cached text outputs stale."""
    (folder / "photos" / "a.txt").write_text("another caption", encoding="utf-8")
