"""Cache files against those that the reference's own writers made."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from backend.caching.files import (
    read_latents,
    read_text,
    write_clip_cache,
    write_latent_cache,
    write_llm_cache,
)
from backend.dataset.cached import TEXT_PARTS, text_problem
from backend.errors import DatasetError

GOLDEN = Path(__file__).parents[1] / "golden"
INDEX = json.loads((GOLDEN / "cache_index.json").read_text())
LATENT_CASES = [case for case in INDEX if not case["file"].endswith("_te.safetensors")]
TEXT_CASES = [case for case in INDEX if case["file"].endswith("_te.safetensors")]


def golden_file(case: dict) -> Path:
    return GOLDEN / "cache" / case["file"]


def described(path: Path) -> tuple[dict, dict]:
    """Keys with shape and dtype, and the metadata."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return {name: [list(each.shape), str(each.dtype)] for name, each in tensors.items()}, file.metadata()


def usable_parts(path: Path) -> set[str]:
    return {part for part in TEXT_PARTS if text_problem(path, parts=[part]) is None}


@pytest.mark.parametrize("case", LATENT_CASES, ids=lambda case: case["file"])
def test_a_latent_file_has_the_references_keys_metadata_and_values(tmp_path, case):
    latents = read_latents(golden_file(case))
    path = tmp_path / case["file"]
    write_latent_cache(path, latents, size=tuple(case["original_size"]), frame_count=case["frame_count"])
    assert described(path) == (case["keys"], case["metadata"])
    assert torch.equal(read_latents(path), latents)


@pytest.mark.parametrize("case", TEXT_CASES, ids=lambda case: case["file"])
def test_a_text_file_has_the_references_bytes(tmp_path, case):
    stored = load_file(golden_file(case))
    path = tmp_path / case["file"]
    write_llm_cache(path, stored["llm_float16"], mask=stored["llm_mask"], caption="caption")
    assert sorted(described(path)[0]) == case["keys_after_llm_only"]
    write_clip_cache(path, stored["clipL_float16"], mask=stored["clipL_mask"], caption="caption")
    assert described(path) == (case["keys"], case["metadata"])
    assert path.read_bytes() == golden_file(case).read_bytes()


@pytest.mark.parametrize("case", TEXT_CASES, ids=lambda case: case["file"])
def test_a_text_file_of_the_reference_is_read(case):
    found = read_text(golden_file(case))
    assert sorted(found) == ["clipL", "clipL_mask", "llm", "llm_mask"]
    assert found["llm"].shape == (12, 10)


def test_a_header_fills_a_multiple_of_256_bytes_whatever_the_caption(tmp_path):
    path = tmp_path / "item_hv_te.safetensors"
    for caption in ("", "a cat", "猫が歩く", 'a "quoted" \\ caption\nof two lines', "x" * 500):
        write_clip_cache(path, torch.ones(6), mask=torch.ones(77, dtype=torch.int64), caption=caption)
        assert (8 + int.from_bytes(path.read_bytes()[:8], "little")) % 256 == 0
        assert described(path)[1]["caption1"] == caption
        assert torch.equal(load_file(path)["clipL_float32"], torch.ones(6))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_every_dtype_comes_back_under_the_same_name(tmp_path, dtype):
    latents, text = torch.randn(16, 2, 3, 4).to(dtype), torch.randn(5, 6).to(dtype)
    write_latent_cache(tmp_path / "a.safetensors", latents, size=(32, 24), frame_count=5)
    assert torch.equal(read_latents(tmp_path / "a.safetensors"), latents)
    write_llm_cache(tmp_path / "t.safetensors", text, mask=torch.ones(5, dtype=torch.int64), caption="")
    write_clip_cache(tmp_path / "t.safetensors", text[0], mask=torch.ones(7, dtype=torch.int64), caption="")
    assert torch.equal(read_text(tmp_path / "t.safetensors")["llm"], text)
    assert torch.equal(read_text(tmp_path / "t.safetensors")["clipL"], text[0])


def test_values_that_are_not_numbers_are_stored_as_zero_with_a_warning(tmp_path, caplog):
    latents = torch.ones(16, 1, 2, 2)
    latents[0, 0, 0, 0] = torch.nan
    with caplog.at_level(logging.WARNING):
        write_latent_cache(tmp_path / "a.safetensors", latents, size=(16, 16))
    assert "1 of 64 values are not numbers" in caplog.text
    found = read_latents(tmp_path / "a.safetensors")
    assert found[0, 0, 0, 0] == 0
    assert found.sum() == 63


def test_encoding_again_in_another_dtype_leaves_one_tensor_of_each_name(tmp_path):
    path, mask = tmp_path / "t.safetensors", torch.ones(4, dtype=torch.int64)
    write_llm_cache(path, torch.ones(4, 3), mask=mask, caption="a")
    write_clip_cache(path, torch.ones(3), mask=mask, caption="a")
    write_llm_cache(path, torch.ones(4, 3).half(), mask=mask, caption="a")
    assert sorted(described(path)[0]) == ["clipL_float32", "clipL_mask", "llm_float16", "llm_mask"]


def test_what_was_made_from_another_caption_is_not_kept(tmp_path):
    path, mask = tmp_path / "t.safetensors", torch.ones(4, dtype=torch.int64)
    write_llm_cache(path, torch.ones(4, 3), mask=mask, caption="a cat")
    write_clip_cache(path, torch.ones(3), mask=mask, caption="a cat")
    write_llm_cache(path, torch.zeros(4, 3), mask=mask, caption="a dog")
    assert usable_parts(path) == {"llm"}
    assert described(path)[1]["caption1"] == "a dog"


def test_metadata_that_another_program_added_is_kept(tmp_path):
    path, mask = tmp_path / "t.safetensors", torch.ones(4, dtype=torch.int64)
    tensors = {"llm_float16": torch.ones(4, 3).half(), "llm_mask": mask}
    save_file(tensors, path, metadata={"architecture": "hunyuan_video", "caption1": "a", "note": "kept"})
    write_clip_cache(path, torch.ones(3), mask=mask, caption="a")
    assert described(path)[1]["note"] == "kept"
    assert usable_parts(path) == {"llm", "clipL"}


def test_a_text_file_without_one_of_its_parts_is_refused(tmp_path):
    path = tmp_path / "t.safetensors"
    write_llm_cache(path, torch.ones(4, 3), mask=torch.ones(4, dtype=torch.int64), caption="a")
    with pytest.raises(DatasetError, match="clipL missing"):
        read_text(path)


def test_a_damaged_file_is_told_and_counts_as_empty(tmp_path):
    path = tmp_path / "t.safetensors"
    path.write_bytes(golden_file(TEXT_CASES[0]).read_bytes()[:300])
    for read in (read_latents, read_text):
        with pytest.raises(DatasetError, match="cannot be read"):
            read(path)
    assert usable_parts(path) == set()


def test_a_file_of_something_else_is_refused_as_latents():
    with pytest.raises(DatasetError, match="no latents in this file"):
        read_latents(golden_file(TEXT_CASES[0]))


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.safetensors"
    write_latent_cache(path, torch.ones(16, 1, 2, 2), size=(16, 16))
    before = path.read_bytes()
    with pytest.raises(KeyError):  # a dtype that caches are not kept in
        write_latent_cache(path, torch.ones(16, 1, 2, 2).to(torch.complex64), size=(16, 16))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
