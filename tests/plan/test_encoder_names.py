"""Caches by other encoders than the options name are missing to the plan, and Start caches them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from backend.config.configuration import Configuration
from backend.config.dataset import read_dataset_file
from backend.dataset.expected import expected_items
from backend.plan.encoder_names import find_encoders
from backend.plan.plan import make_plan
from backend.runs.submission import submit_with_caching
from tests.dataset.media import write_latents, write_picture, write_text

TRANSFORMER = Path(__file__).parents[1] / "golden" / "dit_model.safetensors"


def encoder_file(path: Path, *, value: float) -> str:
    """A weights file of one number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"weight": np.full(1, value, np.float32)}, path)
    return str(path)


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    """Options of a dataset of one photo, cached by the encoders that they name."""
    write_picture(tmp_path / "photos" / "a.png", (64, 64))
    path = tmp_path / "dataset.toml"
    path.write_text(f"[[datasets]]\nimage_directory = '{tmp_path / 'photos'}'\nresolution = 64\n", encoding="utf-8")
    named = {
        "vae": encoder_file(tmp_path / "vae.safetensors", value=1),
        "text_encoder1": str(Path(encoder_file(tmp_path / "llama" / "model.safetensors", value=2)).parent),
        "text_encoder2": encoder_file(tmp_path / "clip.safetensors", value=3),
    }
    values = {"dit": str(TRANSFORMER), "dataset_config": str(path), "mixed_precision": "no", **named}
    encoders = find_encoders(Configuration.from_values(values).model)
    ((item,), _) = expected_items(read_dataset_file(path).datasets[0])
    write_latents(item.latent_path, item.bucket, metadata={"encoder": encoders.vae or ""})
    by_part = {f"encoder_{part}": name for part, name in encoders.texts.items()}
    write_text(item.text_path, caption=item.media.caption, metadata=by_part)
    return values


def plan_of(values: dict[str, Any]):
    return make_plan(Configuration.from_values(values))


CHANGES = {
    "cached with another autoencoder or other tiling": lambda folder: {
        "vae": encoder_file(folder / "new" / "vae.safetensors", value=4)
    },
    "tiles of 256": lambda _folder: {"vae_tiling": True},
    "llm was made by another text encoder": lambda _folder: {"fp8_llm": True},
    "clipL was made by another text encoder": lambda folder: {
        "text_encoder2": encoder_file(folder / "new" / "clip.safetensors", value=5)
    },
}


def test_caches_by_the_encoders_that_are_named_or_by_any_where_none_is_are_there(values, tmp_path):
    assert plan_of(values).dataset.missing == 0
    assert plan_of({key: values[key] for key in ("dit", "dataset_config")}).dataset.missing == 0
    assert plan_of({**values, "vae": str(tmp_path / "gone.safetensors")}).dataset.missing == 0


@pytest.mark.parametrize("told", CHANGES)
def test_caches_by_another_encoder_are_missing_and_told(values, tmp_path, told):
    plan = plan_of({**values, **CHANGES[told](tmp_path)})
    (problem,) = [each for each in plan.problems if each.option == "dataset_config"]
    assert plan.dataset.missing == 1 and told in problem.message


def test_another_dtype_or_another_place_makes_no_other_encoder(values, tmp_path):
    Path(values["vae"]).rename(tmp_path / "moved.safetensors")
    moved = {**values, "vae": str(tmp_path / "moved.safetensors"), "vae_dtype": "bfloat16"}
    assert plan_of({**moved, "text_encoder_dtype": "bfloat16", "vae_chunk_size": 32}).dataset.missing == 0


def test_start_caches_again_what_another_encoder_made(values, tmp_path):
    runs = submit_with_caching(Configuration.from_values(values), workspace=tmp_path / "first")
    assert [run.job().kind for run in runs] == ["train"]
    other = Configuration.from_values({**values, "fp8_llm": True})
    runs = submit_with_caching(other, workspace=tmp_path / "second")
    assert [run.job().kind for run in runs] == ["cache_latents", "cache_text_encoder_outputs", "train"]
