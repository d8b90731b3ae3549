"""Weights files: the forms that load, and what each wrong file is told."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from backend.errors import ModelFileError
from backend.models.hunyuan_video.checkpoint import load_transformer
from tests.models.hunyuan_video.golden_transformer import GOLDEN, MODEL_FILE


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return load_file(MODEL_FILE)


def load(path: Path):
    return load_transformer(path, device="cpu", dtype=torch.float32)


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_the_size_is_read_from_the_file():
    shape = load(MODEL_FILE).shape
    assert (shape.hidden_size, shape.heads, shape.head_dim, shape.rope_dims) == (64, 2, 32, (4, 14, 14))
    assert (shape.double_blocks, shape.single_blocks, shape.mlp_hidden) == (2, 2, 256)
    assert (shape.in_channels, shape.text_width, shape.pooled_width) == (16, 32, 24)


def test_a_loaded_transformer_is_frozen_and_in_eval_mode():
    model = load(MODEL_FILE)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float32, torch.float8_e4m3fn])
@pytest.mark.parametrize("wanted", [torch.float32, torch.bfloat16])
def test_weights_of_any_dtype_load_to_the_dtype_asked_for(tmp_path, weights, stored, wanted):
    path = tmp_path / "model.safetensors"
    save_file({name: tensor.to(stored) for name, tensor in weights.items()}, path)
    model = load_transformer(path, device="cpu", dtype=wanted)
    name = "double_blocks.1.img_mlp.fc1.weight"
    assert {parameter.dtype for parameter in model.parameters()} == {wanted}
    assert torch.equal(model.get_parameter(name), weights[name].to(stored).to(wanted))


def test_without_a_dtype_that_of_the_file_stays():
    assert load_transformer(MODEL_FILE).img_in.proj.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "model.model.", "transformer.", "module.", "model."])
def test_a_common_prefix_is_cut_off(tmp_path, weights, prefix):
    path = tmp_path / "model.safetensors"
    save_file({prefix + name: tensor for name, tensor in weights.items()}, path)
    assert load_transformer(path).state_dict().keys() == weights.keys()
    assert_same_weights(load(path).state_dict(), weights)


@pytest.mark.parametrize("content", ["released", "released with prefix", "bare", "old format"])
def test_pytorch_files_load_with_and_without_the_outer_key(tmp_path, weights, content):
    path = tmp_path / "mp_rank_00_model_states.pt"
    prefixed = {f"module.{name}": tensor for name, tensor in weights.items()}
    container = {"released": {"module": weights}, "released with prefix": {"module": prefixed}}.get(content, weights)
    torch.save(container, path, _use_new_zipfile_serialization=content != "old format")
    assert_same_weights(load(path).state_dict(), weights)


def test_a_missing_file_is_refused(tmp_path):
    assert "there is no such file" in refusal(tmp_path / "no.safetensors")
    assert "there is no such file" in refusal(tmp_path / "no.pt")


def test_a_folder_is_refused(tmp_path):
    assert "this is a folder" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
def test_an_empty_file_is_refused(tmp_path, name):
    path = tmp_path / name
    path.touch()
    assert "the file is empty" in refusal(path)


def test_a_truncated_safetensors_file_is_refused_with_both_sizes(tmp_path):
    path = tmp_path / "model.safetensors"
    content = MODEL_FILE.read_bytes()
    path.write_bytes(content[:-100])
    assert f"cut short, {len(content) - 100} of {len(content)} bytes" in refusal(path)
    path.write_bytes(content[:1000])
    assert "cut short within its header" in refusal(path)


def test_a_safetensors_file_whose_sizes_contradict_each_other_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    header = b'{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_a_truncated_pytorch_file_is_refused(tmp_path, weights, kept):
    path = tmp_path / "model.pt"
    torch.save({"module": weights}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert "cannot be read as a PyTorch weights file" in refusal(path)


def test_a_page_of_html_is_refused(tmp_path):
    for name, words in (("model.safetensors", "not a safetensors file"), ("model.pt", "cannot be read as a PyTorch")):
        path = tmp_path / name
        path.write_text("<!DOCTYPE html><html>404</html>" * 10)
        assert words in refusal(path)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps({"module": Path.cwd}, protocol=2))
    assert "cannot be read as a PyTorch weights file" in refusal(path)


@pytest.mark.parametrize("content", [[1, 2], {"module": {"epoch": 3}}, {"epoch": 3}])
def test_a_pytorch_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "model.pt"
    torch.save(content, path)
    assert "holds something else than named tensors" in refusal(path)


def test_another_kind_of_file_is_named():
    assert "not a HunyuanVideo transformer; the file seems to be: LoRA" in refusal(GOLDEN / "lora_default.safetensors")
    assert "the file seems to be: HunyuanVideo VAE" in refusal(GOLDEN / "vae_model.safetensors")


def test_an_unknown_kind_of_file_is_described_by_its_tensors(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({name: torch.zeros(1) for name in "dbca"}, path)
    assert "the file has 4 tensors, such as a, b, c, …" in refusal(path)


def test_missing_unexpected_and_misshapen_tensors_are_told_at_once(tmp_path, weights):
    path = tmp_path / "model.safetensors"
    wrong = dict(weights)
    del wrong["final_layer.linear.bias"], wrong["time_in.mlp.0.bias"]
    wrong["extra"] = torch.zeros(1)
    wrong["double_blocks.1.txt_mlp.fc1.bias"] = torch.zeros(7)
    save_file(wrong, path)
    lines = refusal(path).splitlines()
    assert re.search(r": 2 tensors are missing: time_in\.mlp\.0\.bias, final_layer\.linear\.bias \(", lines[0])
    assert lines[1].endswith(": 1 tensor is unexpected: extra")
    assert lines[2].endswith(": 1 tensor is of another shape: double_blocks.1.txt_mlp.fc1.bias (7,) instead of (256,)")


def test_a_block_in_the_gap_is_told_as_missing(tmp_path, weights):
    path = tmp_path / "model.safetensors"
    save_file({name: tensor for name, tensor in weights.items() if not name.startswith("single_blocks.0.")}, path)
    assert "8 tensors are missing: single_blocks.0.linear1.weight, single_blocks.0.linear1.bias" in refusal(path)


def test_a_tensor_that_the_size_is_read_from_is_told_as_missing(tmp_path, weights):
    path = tmp_path / "model.safetensors"
    save_file({name: tensor for name, tensor in weights.items() if name != "img_in.proj.weight"}, path)
    assert "the size of the transformer cannot be read: 'img_in.proj.weight' is missing" in refusal(path)


def test_scaled_fp8_files_are_told_why_they_do_not_load(tmp_path, weights):
    path = tmp_path / "model.safetensors"
    save_file(weights | {"double_blocks.0.img_attn_qkv.scale_weight": torch.ones(1)}, path)
    assert "fp8 files with scales are not supported, choose the bf16 file" in refusal(path)


def assert_same_weights(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name].float()) for name in expected)
