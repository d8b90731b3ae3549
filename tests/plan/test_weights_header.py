"""Headers of weights files, and the kinds of files they tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from backend.errors import ModelFileError
from backend.plan.weights_header import TensorHeader, kind_of_file, read_header, strip_prefix

GOLDEN = Path(__file__).parents[1] / "golden"

TRANSFORMER = ["img_in.proj.weight", "double_blocks.0.img_attn_qkv.weight", "single_blocks.0.linear1.weight"]
KINDS = [
    (TRANSFORMER, "HunyuanVideo transformer"),
    ([f"model.diffusion_model.{name}" for name in TRANSFORMER], "HunyuanVideo transformer"),
    (["lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight"], "LoRA"),
    (["diffusion_model.double_blocks.0.img_attn_qkv.lora_A.weight"], "LoRA"),
    (["lora_unet_single_blocks_0_linear1.hada_w1_a"], "LoRA"),
    (["lora_unet_single_blocks_0_linear1.lokr_w1"], "LoRA"),
    (["context_embedder.token_refiner.refiner_blocks.0.norm1.weight"], "diffusers HunyuanVideo transformer"),
    (["double_blocks.0.img_attn.qkv.weight"], "FLUX transformer"),
    (["blocks.0.cross_attn.norm_k.weight"], "Wan transformer"),
    (["decoder.conv_in.weight", "encoder.conv_in.weight"], "VAE of another model"),
    (["model.layers.0.mlp.gate_proj.weight", "lm_head.weight"], "Llama text encoder"),
    (["layers.0.mlp.gate_proj.weight"], "Llama text encoder"),
    (["text_model.embeddings.token_embedding.weight"], "CLIP text encoder"),
    (["embeddings.token_embedding.weight"], "CLIP text encoder"),
    (["something"], "unknown"),
    ([], "unknown"),
]


@pytest.mark.parametrize(("names", "kind"), KINDS)
def test_the_kind_of_a_file_follows_from_its_names(names, kind):
    assert kind_of_file(names) == kind


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("dit_model", "HunyuanVideo transformer"),
        ("vae_model", "HunyuanVideo VAE"),
        ("lora_default", "LoRA"),
        ("lora_other", "LoRA"),
    ],
)
def test_the_kinds_of_real_files(file, kind):
    tensors, _ = read_header(GOLDEN / f"{file}.safetensors")
    assert kind_of_file(tensors) == kind


def test_the_full_size_vae_is_known():
    names = json.loads((GOLDEN / "vae_full_state_dict.json").read_text())["shapes"]
    assert kind_of_file(names) == "HunyuanVideo VAE"


def test_a_header_gives_dtypes_shapes_and_metadata():
    tensors, metadata = read_header(GOLDEN / "dit_model.safetensors")
    assert tensors["img_in.proj.weight"] == TensorHeader("BF16", (64, 16, 1, 2, 2))
    assert json.loads(metadata["config"])["heads"] == 2


def test_a_file_without_metadata_or_tensors_has_an_empty_header(tmp_path):
    assert read_header(write(tmp_path, header=b"{}")) == ({}, {})


@pytest.mark.parametrize("names", [["a", "model.b"], ["model"], []])
def test_only_a_prefix_that_all_names_share_is_cut_off(names):
    assert strip_prefix(names) == ""


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", "model.model.", "diffusion_model.", "model."])
def test_the_longest_known_prefix_is_found(prefix):
    assert strip_prefix(prefix + name for name in TRANSFORMER) == prefix


@pytest.mark.parametrize("header", [b"nonsense", b"[1, 2]", b'{"a": 1}', b'{"a": {"dtype": "F32"}}', b"\xff\xfe{}"])
def test_a_header_that_makes_no_sense_is_refused(tmp_path, header):
    with pytest.raises(ModelFileError, match="not a safetensors file"):
        read_header(write(tmp_path, header=header))


@pytest.mark.parametrize("content", [b"\x01\x02", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"not a safetensors file.*download or copy it again"):
        read_header(path)


def test_a_file_shorter_than_its_header_says_is_refused(tmp_path):
    header = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    path = write(tmp_path, header=header, data=bytes(10))
    size = path.stat().st_size
    with pytest.raises(ModelFileError, match=f"cut short, {size} of {size + 6} bytes"):
        read_header(path)


def test_missing_empty_and_folder_are_refused(tmp_path):
    with pytest.raises(ModelFileError, match="there is no such file"):
        read_header(tmp_path / "none.safetensors")
    with pytest.raises(ModelFileError, match="this is a folder"):
        read_header(tmp_path)
    empty = tmp_path / "empty.safetensors"
    empty.touch()
    with pytest.raises(ModelFileError, match="the file is empty"):
        read_header(empty)


def write(folder: Path, *, header: bytes, data: bytes = b"") -> Path:
    path = folder / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path
