"""LoRA files: written, read, hashed and refused."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file

from backend.errors import ModelFileError, UserError
from backend.networks.files import load_lora, save_lora
from backend.networks.lora import create_lora

GOLDEN = Path(__file__).parents[1] / "golden"
INDEX = json.loads((GOLDEN / "lora_files.json").read_text("utf-8"))
KEY = "lora_unet_double_blocks_0_img_attn_qkv"

SMALL = {
    f"{KEY}.lora_down.weight": torch.arange(8.0).reshape(2, 4) / 7,
    f"{KEY}.lora_up.weight": torch.arange(6.0).reshape(3, 2) / 3,
    f"{KEY}.alpha": torch.tensor(2),
}


def save_small(path: Path, **options) -> None:
    save_lora(path, SMALL, **{"metadata": {}, "dtype": torch.float32} | options)


@pytest.mark.parametrize(("name", "dtype"), [("lora_default", torch.float32), ("lora_default_bf16", torch.bfloat16)])
def test_a_file_of_the_reference_is_written_again_with_the_same_tensors_metadata_and_hashes(tmp_path, name, dtype):
    tensors, metadata = load_lora(GOLDEN / f"{name}.safetensors")
    assert metadata == INDEX[name]["metadata"]
    path = tmp_path / f"{name}.safetensors"
    save_lora(path, tensors, metadata={k: v for k, v in metadata.items() if not k.startswith("sshs_")}, dtype=dtype)

    again, metadata_again = load_lora(path)
    assert metadata_again == metadata
    assert {key: [list(tensor.shape), str(tensor.dtype)] for key, tensor in again.items()} == INDEX[name]["keys"]
    assert all(torch.equal(again[key], tensors[key]) for key in tensors)
    assert path.stat().st_size == (GOLDEN / f"{name}.safetensors").stat().st_size


def test_saving_in_bfloat16_gives_the_reference_file_in_bfloat16(tmp_path):
    tensors, _ = load_lora(GOLDEN / "lora_default.safetensors")
    save_lora(tmp_path / "a.safetensors", tensors, metadata={}, dtype=torch.bfloat16)
    _, metadata = load_lora(tmp_path / "a.safetensors")
    assert metadata["sshs_model_hash"] == INDEX["lora_default_bf16"]["metadata"]["sshs_model_hash"]


def test_a_trained_network_is_the_same_after_saving_and_loading(tmp_path, transformer, module_names):
    network = create_lora(transformer, module_names, rank=4, alpha=2.0)
    save_lora(tmp_path / "a.safetensors", network.state_dict(), metadata={"ss_steps": "1"}, dtype=torch.float32)
    tensors, metadata = load_lora(tmp_path / "a.safetensors")
    assert metadata["ss_steps"] == "1"
    assert tensors.keys() == network.state_dict().keys()
    assert network.load_state_dict(tensors) == []
    assert all(torch.equal(tensor, network.state_dict()[key]) for key, tensor in tensors.items())


def test_all_tensors_are_cast_alpha_included(tmp_path):
    save_small(tmp_path / "a.safetensors", dtype=torch.float16)
    tensors, _ = load_lora(tmp_path / "a.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert tensors[f"{KEY}.alpha"].item() == 2.0


def test_the_hash_of_a_file_beyond_one_mebibyte_covers_the_ss_keys_and_not_the_others(tmp_path):
    tensors = SMALL | {f"{KEY}.lora_up.weight": torch.randn(200_000, 2, generator=torch.Generator().manual_seed(1))}
    hashes = {}
    for case, metadata in {
        "none": {},
        "other": {"modelspec.title": "a longer title"},
        "ss": {"ss_training_comment": "moves the tensors by some bytes"},
    }.items():
        save_lora(tmp_path / "a.safetensors", tensors, metadata=metadata, dtype=torch.float32)
        _, found = load_lora(tmp_path / "a.safetensors")
        content = save(
            {key: tensor.float() for key, tensor in tensors.items()},
            {key: text for key, text in metadata.items() if key.startswith("ss_")},
        )
        assert found["sshs_legacy_hash"] == hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]
        hashes[case] = (found["sshs_model_hash"], found["sshs_legacy_hash"])
    assert hashes["none"] == hashes["other"]
    assert hashes["none"][0] == hashes["ss"][0]
    assert hashes["none"][1] != hashes["ss"][1]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=40)
@given(
    metadata=st.dictionaries(st.builds("ss_{}".format, texts) | texts, texts, max_size=6),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
)
def test_tensors_and_metadata_survive(tmp_path_factory, metadata, shape, dtype):
    path = tmp_path_factory.mktemp("round_trip") / "a.safetensors"
    tensor = torch.randn(shape).to(dtype)
    save_lora(path, {f"{KEY}.lora_up.weight": tensor}, metadata=metadata, dtype=dtype)
    tensors, found = load_lora(path)
    assert torch.equal(tensors[f"{KEY}.lora_up.weight"], tensor)
    assert {key: text for key, text in found.items() if not key.startswith("sshs_")} == metadata


def test_a_file_is_replaced_and_nothing_else_is_left_in_the_folder(tmp_path):
    path = tmp_path / "new folder" / "a.safetensors"
    save_small(path, metadata={"ss_steps": "1"})
    save_small(path, metadata={"ss_steps": "2"})
    assert load_lora(path)[1]["ss_steps"] == "2"
    assert [file.name for file in path.parent.iterdir()] == ["a.safetensors"]


def test_the_tensors_of_the_network_stay_as_they_are(tmp_path):
    before = {key: tensor.clone() for key, tensor in SMALL.items()}
    save_small(tmp_path / "a.safetensors", dtype=torch.bfloat16)
    assert all(tensor.dtype == before[key].dtype and torch.equal(tensor, before[key]) for key, tensor in SMALL.items())


def test_a_place_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.safetensors"
    path.mkdir()
    with pytest.raises(UserError) as refusal:
        save_small(path)
    assert str(refusal.value).startswith(f"{path}: cannot be written: ")
    assert refusal.value.problems[0].hint == "check the free space and the folder"
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="there is no such file"):
        load_lora(tmp_path / "a.safetensors")


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_small(path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ModelFileError, match=r"a.safetensors: cut short, \d+ of \d+ bytes"):
        load_lora(path)


def test_a_file_without_lora_matrices_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ModelFileError) as refusal:
        load_lora(path)
    assert str(refusal.value) == f"{path}: a LoRA file is wanted, but this file seems to be: unknown"
    with pytest.raises(ModelFileError, match="but this file seems to be: HunyuanVideo transformer"):
        load_lora(GOLDEN / "dit_model.safetensors")


def test_a_lora_in_another_naming_can_be_read():
    tensors, _ = load_lora(GOLDEN / "lora_other.safetensors")
    assert tensors.keys() == INDEX["lora_other"]["keys"].keys()
    assert all(
        torch.equal(tensors[key], tensor) for key, tensor in load_file(GOLDEN / "lora_other.safetensors").items()
    )
