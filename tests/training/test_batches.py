"""Batches as tensors, from real cache files."""

from pathlib import Path

import pytest
import torch

from backend.caching.files import write_clip_cache, write_latent_cache, write_llm_cache
from backend.dataset.batches import Batch
from backend.dataset.cached import CachedItem
from backend.errors import DatasetError
from backend.training.batches import read_batch, read_batches


def cached_item(folder: Path, stem: str, *, value: float, width: int = 8, text_width: int = 6, real_tokens: int = 3):
    """An item whose latents and text are this value everywhere."""
    item = CachedItem(stem, folder / f"{stem}_hv.safetensors", folder / f"{stem}_te.safetensors", (width * 8, 48), None)
    latents = torch.full((16, 1, 6, width), value, dtype=torch.float16)
    write_latent_cache(item.latent_path, latents, size=(width * 8, 48))
    mask = torch.zeros(256, dtype=torch.int64)
    mask[:real_tokens] = 1
    states = torch.full((256, text_width), value, dtype=torch.float16)
    write_llm_cache(item.text_path, states, mask=mask, caption=stem)
    pooled = torch.full((5,), value, dtype=torch.float16)
    write_clip_cache(item.text_path, pooled, mask=torch.ones(77, dtype=torch.int64), caption=stem)
    return item


def test_a_batch_holds_its_items_in_their_order(tmp_path):
    items = tuple(cached_item(tmp_path, name, value=value) for name, value in (("b", 2.0), ("a", 1.0)))
    batch = read_batch(Batch(items))
    assert batch.latents.shape == (2, 16, 1, 6, 8)
    assert batch.text_states.shape == (2, 256, 6) and batch.pooled_text.shape == (2, 5)
    assert batch.text_mask.sum(dim=1).tolist() == [3, 3]
    for tensor in (batch.latents, batch.text_states, batch.pooled_text):
        assert tensor.flatten(1).float().mean(dim=1).tolist() == [2.0, 1.0]


def test_on_its_device_a_batch_is_float32(tmp_path):
    batch = read_batch(Batch((cached_item(tmp_path, "a", value=1.0),))).to(torch.device("cpu"))
    assert {tensor.dtype for tensor in (batch.latents, batch.text_states, batch.pooled_text)} == {torch.float32}
    assert not batch.text_mask.is_floating_point()


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_the_order_of_the_epoch(tmp_path, workers):
    items = [cached_item(tmp_path, str(number), value=float(number)) for number in range(5)]
    read = read_batches([Batch((item,)) for item in items], workers=workers)
    assert [batch.latents.mean().item() for batch in read] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert list(read_batches([])) == []


def test_reading_may_end_before_the_epoch(tmp_path):
    batch = Batch((cached_item(tmp_path, "a", value=1.0),))
    reading = read_batches([batch] * 3)
    assert next(reading).latents.mean().item() == 1.0
    reading.close()


def test_latents_of_different_shapes_are_told_with_their_files(tmp_path):
    items = (cached_item(tmp_path, "a", value=1.0), cached_item(tmp_path, "b", value=1.0, width=10))
    with pytest.raises(DatasetError) as raised:
        read_batch(Batch(items))
    assert "a_hv.safetensors [16, 1, 6, 8], b_hv.safetensors [16, 1, 6, 10]" in str(raised.value)


def test_texts_of_different_encoders_are_told_with_their_files(tmp_path):
    items = (cached_item(tmp_path, "a", value=1.0), cached_item(tmp_path, "b", value=1.0, text_width=7))
    with pytest.raises(DatasetError, match=r"a_te\.safetensors \[256, 6\], b_te\.safetensors \[256, 7\]"):
        read_batch(Batch(items))


def test_a_damaged_cache_is_told_when_its_turn_comes(tmp_path):
    good, bad = (cached_item(tmp_path, name, value=1.0) for name in ("good", "bad"))
    bad.latent_path.write_bytes(bad.latent_path.read_bytes()[:-100])
    reading = read_batches([Batch((good,)), Batch((bad,))])
    next(reading)
    with pytest.raises(DatasetError, match=r"bad_hv\.safetensors: cannot be read"):
        next(reading)


def test_latents_travel_as_they_are_cached_and_become_float32_to_the_bit(tmp_path):
    generator = torch.Generator().manual_seed(0)
    items, wanted = [], []
    for name, dtype in (("a", torch.float16), ("b", torch.float16), ("c", torch.bfloat16)):
        item = cached_item(tmp_path, name, value=1.0)
        latents = torch.randn(16, 1, 6, 8, generator=generator).to(dtype)
        write_latent_cache(item.latent_path, latents, size=(64, 48))
        items.append(item)
        wanted.append(latents.float())
    of_one_dtype, mixed = read_batch(Batch(tuple(items[:2]))), read_batch(Batch(tuple(items)))
    assert of_one_dtype.latents.dtype == torch.float16
    assert torch.equal(of_one_dtype.to(torch.device("cpu")).latents, torch.stack(wanted[:2]))
    assert torch.equal(mixed.to(torch.device("cpu")).latents, torch.stack(wanted))


def test_what_was_read_does_not_change_with_the_file(tmp_path):
    item = cached_item(tmp_path, "a", value=1.0)
    batch = read_batch(Batch((item,)))
    with item.latent_path.open("r+b") as file:
        file.truncate(8)
    assert batch.latents.mean().item() == 1.0
