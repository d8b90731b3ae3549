"""Caching what small text encoders make of the captions of a small dataset."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.caching.files import read_text
from backend.caching.text_outputs import cache_clip_outputs, cache_llm_outputs, find_captions, without_cached
from backend.config.dataset import read_dataset_file
from backend.dataset.cached import text_problem
from backend.models.hunyuan_video.text_encoders import TextEncoder, encode_clip, encode_llm, load_clip, load_llm
from tests.caching.small_dataset import CAPTIONS, write_dataset
from tests.models.tiny_text_models import write_clip_folder, write_llama_folder

ON_CPU = {"device": "cpu", "dtype": torch.float32}


def to_encode(captions, part, **options):
    return without_cached(captions, part, **options)[0]


@pytest.fixture(scope="module")
def llm(tmp_path_factory) -> TextEncoder:
    return load_llm(write_llama_folder(tmp_path_factory.mktemp("models") / "llama"), **ON_CPU)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> TextEncoder:
    return load_clip(write_clip_folder(tmp_path_factory.mktemp("models") / "clip"), **ON_CPU)


@pytest.fixture
def config(tmp_path) -> Path:
    return write_dataset(tmp_path)


def captions_of(config: Path):
    return find_captions(read_dataset_file(config))[0]


def test_every_caption_gets_what_both_encoders_make_of_it(config, llm, clip):
    captions = captions_of(config)
    cache_llm_outputs(captions, llm)
    cache_clip_outputs(captions, clip, batch_size=3)
    for stem, caption in CAPTIONS.items():
        folder = config.parent / ("cache_clips" if stem == "clip.one" else "cache_images")
        found = read_text(folder / f"{stem}_hv_te.safetensors")
        states, mask = encode_llm(llm, [caption])
        torch.testing.assert_close(found["llm"], states[0], rtol=0, atol=1e-5)
        assert torch.equal(found["llm_mask"], mask[0])
        torch.testing.assert_close(found["clipL"], encode_clip(clip, [caption])[0][0], rtol=0, atol=1e-5)
        assert found["clipL_mask"].sum() == len(caption.split()) + 2


def test_only_missing_parts_are_made(config, llm, clip):
    captions = captions_of(config)
    assert len(captions) == 3
    cache_llm_outputs(captions, llm)
    assert to_encode(captions, "llm") == []
    assert to_encode(captions, "clipL") == captions  # an interrupted run leaves files with one part
    cache_clip_outputs(captions[:1], clip)
    assert to_encode(captions, "clipL") == captions[1:]


def test_a_changed_caption_is_encoded_again(config, llm, clip):
    captions = captions_of(config)
    cache_llm_outputs(captions, llm)
    cache_clip_outputs(captions, clip)
    (config.parent / "media" / "tall.txt").write_text("the sky")
    changed = to_encode(captions_of(config), "llm")
    assert [item.caption for item in changed] == ["the sky"]
    cache_llm_outputs(changed, llm)
    assert "without clipL" in text_problem(changed[0].text_path).message
    assert to_encode(captions_of(config), "clipL") == changed


def test_an_encoder_whose_tensors_are_there_in_two_dtypes_is_asked_again(config, llm, clip):
    """Training refuses such a file, so caching must not take it for done."""
    captions = captions_of(config)[:1]
    cache_llm_outputs(captions, llm)
    cache_clip_outputs(captions, clip)
    path = captions[0].text_path
    tensors = load_file(path)
    save_file(tensors | {"llm_float16": tensors["llm_float32"].half()}, path)
    assert (to_encode(captions, "llm"), to_encode(captions, "clipL")) == (captions, [])
    cache_llm_outputs(captions, llm)
    assert text_problem(path) is None


def test_a_damaged_file_is_made_anew(config, llm, clip):
    captions = captions_of(config)
    captions[0].text_path.parent.mkdir()
    captions[0].text_path.write_bytes(b"\x10")
    assert captions[0] in to_encode(captions, "llm")
    cache_llm_outputs(captions, llm)
    cache_clip_outputs(captions, clip)
    assert to_encode(captions, "llm") == to_encode(captions, "clipL") == []


def test_a_picture_without_a_caption_is_told(config):
    (config.parent / "media" / "tall.txt").unlink()
    captions, problems = find_captions(read_dataset_file(config))
    assert [item.caption for item in captions] == ["a rocket in the sky", "a cat walks"]
    assert "tall.png: no caption" in problems[0].message


def test_progress_counts_captions(config, clip):
    told = []
    cache_clip_outputs(captions_of(config), clip, progress=lambda *values: told.append(values))
    assert told == [(2, 3, "tall, wide"), (3, 3, "clip.one")]


def test_another_text_encoder_makes_its_part_stale_alone(config, llm, clip):
    captions = captions_of(config)
    cache_llm_outputs(captions, llm, encoder="llama 1")
    cache_clip_outputs(captions, clip, encoder="clip 1")
    assert to_encode(captions, "clipL", encoder="clip 1") == to_encode(captions, "llm", encoder="llama 1") == []
    pending, stale = without_cached(captions, "llm", encoder="llama 2")
    assert pending == captions
    assert stale[0].message.endswith("llm was made by another text encoder (llama 1, now llama 2)")
    cache_llm_outputs(captions, llm, encoder="llama 2")
    assert to_encode(captions, "llm", encoder="llama 2") == to_encode(captions, "clipL", encoder="clip 1") == []


def test_a_changed_caption_is_named_when_it_is_encoded_anew(config, llm):
    cache_llm_outputs(captions_of(config), llm)
    (config.parent / "media" / "tall.txt").write_text("a dog")
    pending, (problem,) = without_cached(captions_of(config), "llm")
    assert [item.caption for item in pending] == ["a dog"]
    assert problem.message.endswith("caption changed since it was cached")


def test_captions_that_are_not_cached_yet_are_not_called_stale(config):
    pending, stale = without_cached(captions_of(config), "llm")
    assert (len(pending), stale) == (3, [])
