"""The trainer's data are those that the plan counted."""

from pathlib import Path

import pytest

from backend.commands.training_data import load_data
from backend.config.configuration import Configuration
from backend.config.dataset import read_dataset_file
from backend.dataset.count import count_dataset
from backend.dataset.expected import expected_items
from tests.dataset.media import write_caches, write_picture


@pytest.fixture
def dataset_file(tmp_path: Path) -> Path:
    """Three pictures, all cached."""
    for name in ("a", "b", "c"):
        write_picture(tmp_path / "photos" / f"{name}.png", (64, 64), caption=f"picture {name}")
    path = tmp_path / "dataset.toml"
    path.write_text(f"[[datasets]]\nimage_directory = '{tmp_path / 'photos'}'\nresolution = [64, 64]\n")
    for item in expected_items(read_dataset_file(path).datasets[0])[0]:
        write_caches(item)
    return path


def trained_stems(dataset_file: Path) -> list[str]:
    data = load_data(Configuration.from_values({"dataset_config": str(dataset_file)}), seed=1)
    return [item.stem for group in data.groups for item in group.items]


def test_a_photo_that_was_removed_is_neither_counted_nor_trained_on_and_is_named(dataset_file, tmp_path, capsys):
    assert trained_stems(dataset_file) == ["a", "b", "c"]
    (tmp_path / "photos" / "b.png").unlink()
    capsys.readouterr()
    assert trained_stems(dataset_file) == ["a", "c"]
    count, (problem,) = count_dataset(dataset_file)
    assert (count.images, count.batches) == (2, 2)
    assert "b_0064x0064_hv.safetensors" in problem.message
    assert f"warning: {problem}" in capsys.readouterr().out


def test_what_is_not_cached_is_named_in_the_log_and_the_rest_is_trained_on(dataset_file, tmp_path, capsys):
    (tmp_path / "photos" / "c_0064x0064_hv.safetensors").unlink()
    assert trained_stems(dataset_file) == ["a", "b"]
    assert "not cached, so not trained on: 1 of 3: c_0064x0064_hv.safetensors" in capsys.readouterr().out
