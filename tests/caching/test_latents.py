"""Caching the latents of a small dataset with the golden autoencoder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from backend.caching.files import read_latents
from backend.caching.latents import cache_latents, find_latent_work
from backend.config.dataset import read_dataset_file
from backend.dataset.cached import find_cached_items
from backend.dataset.training_items import find_training_items
from backend.errors import StoppedByUser
from backend.models.hunyuan_video.vae import load_vae
from tests.caching.small_dataset import write_dataset
from tests.dataset.media import write_text

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


def test_what_cannot_be_read_counts_as_done_once_its_dataset_is(config, vae):
    work, told = work_of(config), []
    (config.parent / "media" / "tall.png").write_bytes(b"no picture")
    cache_latents(work, vae, batch_size=1, progress=lambda *values: told.append(values[:2]))
    assert told == [(1, 12), *((done, 12) for done in range(3, 13))]


def test_pixels_go_through_the_bucket_into_the_encoder(config, vae):
    """A flat picture has the same latents at any size, so only the middle of the posterior's mean counts."""
    Image.new("RGB", (90, 60), (255, 255, 255)).save(config.parent / "media" / "wide.png")
    cache_latents(work_of(config), vae)
    with torch.no_grad():
        white = vae.encode(torch.ones(1, 3, 1, 48, 64)).latent_dist
    found = read_latents(config.parent / "cache_images" / "wide_0090x0060_hv.safetensors")
    assert ((found - white.mean[0]) / white.std[0]).abs().mean() < 1  # a normal draw is 0.8 on average


def stale_messages(config: Path, **options) -> list[str]:
    work = find_latent_work(read_dataset_file(config), skip_existing=True, **options)
    assert work.pending_count == len(work.stale)
    return [problem.message.removeprefix(f"{config.parent}/") for problem in work.stale]


def test_a_replaced_picture_is_noticed_named_and_cached_anew(config, vae):
    cache_latents(work_of(config), vae)
    picture = config.parent / "media" / "tall.png"
    Image.new("RGB", (60, 90), "red").save(picture)
    assert stale_messages(config) == [
        "cache_images/tall_0060x0090_hv.safetensors: tall.png was replaced since it was cached"
    ]
    cache_latents(work_of(config), vae)
    assert stale_messages(config) == []


def test_a_picture_that_was_only_touched_or_copied_back_is_the_same(config, vae):
    cache_latents(work_of(config), vae)
    for path in (config.parent / "media").iterdir():
        os.utime(path, (1, 1))
    assert work_of(config).pending_count == 0


def test_another_frame_rate_makes_all_windows_stale(config, vae):
    cache_latents(work_of(config), vae)
    config.write_text(config.read_text() + "source_fps = 30.0\n")
    messages = stale_messages(config)
    assert len(messages) == 8  # of 9 frames 8 are used
    assert messages[0].endswith("cached with source_fps none, the dataset has 30")


def test_another_autoencoder_makes_its_latents_stale_and_an_unknown_one_fits_any(config, vae):
    cache_latents(find_latent_work(read_dataset_file(config), skip_existing=True, encoder="first"), vae)
    assert len(stale_messages(config, encoder="second")) == 12
    assert stale_messages(config, encoder="first") == stale_messages(config) == []


def test_caches_without_an_origin_as_musubi_tuner_writes_them_are_used(config, vae):
    cache_latents(work_of(config), vae)
    for path in config.parent.glob("cache_*/*_hv.safetensors"):
        with safe_open(path, framework="pt") as file:
            kept = {name: file.metadata()[name] for name in ("architecture", "width", "height", "format_version")}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        save_file(tensors, path, kept)
    assert stale_messages(config, encoder="any") == []


def test_a_stale_cache_is_not_trained_on_and_named(config, vae):
    cache_latents(work_of(config), vae)
    dataset = read_dataset_file(config).datasets[0]
    for name in ("tall", "wide"):
        write_text(config.parent / "cache_images" / f"{name}_hv_te.safetensors")
    assert len(find_training_items([dataset])[0].ready) == 2
    Image.new("RGB", (60, 90), "red").save(config.parent / "media" / "tall.png")
    (found,) = find_training_items([dataset])
    assert [item.stem for item in found.ready] == ["wide"]
    assert "tall.png was replaced since it was cached" in found.problems[0].message


def test_two_files_of_one_name_in_a_shared_cache_folder_do_not_pass_for_each_other(config, vae, tmp_path):
    cache_latents(work_of(config), vae)
    other = write_dataset(tmp_path / "other")
    Image.new("RGB", (60, 90), "red").save(other.parent / "media" / "tall.png")
    text = other.read_text().replace(f"{other.parent}/cache_", f"{config.parent}/cache_")
    other.write_text(text)
    assert [message.split(": ")[1] for message in stale_messages(other)] == [
        "tall.png was replaced since it was cached"
    ]


def test_a_caching_that_was_stopped_goes_on_where_it_was(config, vae):
    def stop(done: int, _total: int, _text: str) -> None:
        if done == 5:
            raise StoppedByUser("enough")

    with pytest.raises(StoppedByUser):
        cache_latents(work_of(config), vae, batch_size=1, workers=2, progress=stop)
    work = work_of(config)
    assert (work.existing_count, work.pending_count, work.stale) == (5, 7, ())
    cache_latents(work, vae)
    assert work_of(config).pending_count == 0
