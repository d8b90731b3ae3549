"""Caching the latents of a small dataset with the golden autoencoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from backend.caching.files import read_latents
from backend.caching.latents import cache_latents, find_latent_work
from backend.config.dataset import read_dataset_file
from backend.dataset.cached import find_cached_items
from backend.models.hunyuan_video.vae import load_vae
from tests.caching.small_dataset import write_dataset

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def vae():
    return load_vae(GOLDEN / "vae_model.safetensors", device="cpu", dtype=torch.float32)


@pytest.fixture
def config(tmp_path) -> Path:
    return write_dataset(tmp_path)


def work_of(config: Path, *, skip_existing: bool = True):
    return find_latent_work(read_dataset_file(config), skip_existing=skip_existing)


def cached(folder: Path) -> dict[str, torch.Tensor]:
    return {path.name: read_latents(path) for path in sorted(folder.glob("cache_*/*_hv.safetensors"))}


def test_every_picture_and_window_gets_its_latents(config, vae):
    assert cache_latents(work_of(config), vae) == []
    found = {name: tuple(latents.shape) for name, latents in cached(config.parent).items()}
    windows = {f"clip.one_{start:05d}-001_0064x0048_hv.safetensors": (16, 1, 6, 8) for start in range(9)}
    assert found == windows | {
        "clip.one_00000-005_0064x0048_hv.safetensors": (16, 2, 6, 8),
        "tall_0060x0090_hv.safetensors": (16, 1, 8, 6),
        "wide_0090x0060_hv.safetensors": (16, 1, 6, 8),
    }


def test_what_is_cached_is_what_training_will_look_for(config, vae):
    cache_latents(work_of(config), vae)
    for dataset in read_dataset_file(config).datasets:
        found, _ = find_cached_items(dataset)
        assert found == []  # the text is still to be cached
        assert sorted(dataset.cache_folder.iterdir())


def test_what_is_whole_is_left_alone(config, vae):
    cache_latents(work_of(config), vae)
    work = work_of(config)
    assert (work.pending_count, work.existing_count) == (0, 12)
    assert work_of(config, skip_existing=False).pending_count == 12


def test_a_damaged_cache_and_one_of_another_resolution_are_made_anew(config, vae):
    cache_latents(work_of(config), vae)
    damaged = config.parent / "cache_images" / "tall_0060x0090_hv.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    assert work_of(config).pending_count == 1
    config.write_text(config.read_text().replace("[64, 48]", "[96, 64]"))
    assert work_of(config).pending_count == 12


def test_a_cache_with_two_latents_is_made_anew(config, vae):
    """Training refuses such a file, so caching must not take it for done."""
    cache_latents(work_of(config), vae)
    path = config.parent / "cache_images" / "tall_0060x0090_hv.safetensors"
    latents = read_latents(path)
    save_file({"latents_1x8x6_float16": latents.half(), "latents_1x8x6_float32": latents}, path)
    assert work_of(config).pending_count == 1


def test_latents_do_not_depend_on_the_batch_or_the_time(config, vae):
    cache_latents(work_of(config), vae, batch_size=1)
    alone = cached(config.parent)
    cache_latents(work_of(config, skip_existing=False), vae, batch_size=4)
    for name, latents in cached(config.parent).items():
        torch.testing.assert_close(latents, alone[name], rtol=0, atol=1e-5)


def test_latents_do_not_depend_on_the_threads_that_decode(config, vae):
    cache_latents(work_of(config), vae)
    expected = cached(config.parent)
    cache_latents(work_of(config, skip_existing=False), vae, workers=3)
    found = cached(config.parent)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_another_seed_gives_other_latents(config, vae):
    cache_latents(work_of(config), vae, seed=1)
    first = cached(config.parent)
    cache_latents(work_of(config, skip_existing=False), vae, seed=2)
    assert all((latents - first[name]).abs().max() > 0.01 for name, latents in cached(config.parent).items())


def test_a_damaged_picture_is_told_and_does_not_stop_the_others(config, vae):
    picture = config.parent / "media" / "tall.png"
    picture.write_bytes(picture.read_bytes()[:2000])
    work = work_of(config)
    assert cache_latents(work, vae) == []
    assert [problem.severity for problem in work.problems] == ["warning"]
    assert "tall.png: not a readable picture" in work.problems[0].message
    assert len(cached(config.parent)) == 11


def test_a_picture_that_breaks_while_it_is_read_does_not_stop_the_others(config, vae):
    work = work_of(config)
    picture = config.parent / "media" / "tall.png"
    picture.write_bytes(picture.read_bytes()[:2000])
    problems = cache_latents(work, vae)
    assert [problem.severity for problem in problems] == ["warning"]
    assert work.count_cached() == 11
    assert len(cached(config.parent)) == 11


def test_caches_of_others_stay(config, vae):
    other = config.parent / "cache_images" / "other_0064x0048_hv.safetensors"
    other.parent.mkdir()
    other.write_bytes(b"someone else's")
    cache_latents(work_of(config), vae)
    assert other.read_bytes() == b"someone else's"


def test_progress_counts_items(config, vae):
    told = []
    cache_latents(work_of(config), vae, batch_size=4, progress=lambda *values: told.append(values))
    assert [total for _, total, _ in told] == [12] * len(told)
    assert told[-1][0] == 12
    assert told[0][2] == "tall_0060x0090 (48x64)"


def test_pixels_go_through_the_bucket_into_the_encoder(config, vae):
    """A flat picture has the same latents at any size, so only the middle of the posterior's mean counts."""
    Image.new("RGB", (90, 60), (255, 255, 255)).save(config.parent / "media" / "wide.png")
    cache_latents(work_of(config), vae)
    with torch.no_grad():
        white = vae.encode(torch.ones(1, 3, 1, 48, 64)).latent_dist
    found = read_latents(config.parent / "cache_images" / "wide_0090x0060_hv.safetensors")
    assert ((found - white.mean[0]) / white.std[0]).abs().mean() < 1  # a normal draw is 0.8 on average
