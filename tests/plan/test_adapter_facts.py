"""What a LoRA file holds, told without torch: the same as the command that computes it with torch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.commands.lora import facts_of, main
from backend.errors import ModelFileError
from backend.plan.adapter_facts import read_adapter_facts
from tests.networks.small_adapters import CASES, make_adapter

GOLDEN = Path(__file__).parents[1] / "golden"
LORA = GOLDEN / "lora_default.safetensors"
DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}


def assert_same(path: Path, *, tolerance: float = 1e-5) -> None:
    """Both ways of looking into the file tell the same."""
    found, expected = read_adapter_facts(path), facts_of(path)
    norms: dict[str, float] = {}
    for module in found.modules:
        block = ".".join(module.name.split(".")[:2])
        norms[block] = (norms.get(block, 0.0) ** 2 + module.norm**2) ** 0.5
    assert norms.keys() == expected["norms"].keys()
    assert norms == pytest.approx(expected["norms"], rel=tolerance)
    assert found.naming == expected["naming"]
    assert sorted({DTYPES.get(dtype, "int64") for dtype in found.dtypes}) == expected["dtypes"]
    assert (found.numbers, len(found.modules)) == (expected["numbers"], expected["modules"])
    loras = [module for module in found.modules if module.kind == "networks.lora"]
    assert sorted({module.rank for module in loras}) == expected["ranks"]
    assert sorted({module.alpha for module in loras}) == expected["alphas"]
    assert dict(sorted(found.metadata.items())) == expected["metadata"]


@pytest.mark.parametrize("name", ["lora_default", "lora_default_bf16", "lora_other"])
def test_the_references_files_are_told_as_with_torch(name):
    assert_same(GOLDEN / f"{name}.safetensors")


def test_every_naming_is_told_as_with_torch(tmp_path):
    for naming in ("comfyui", "diffusers"):
        path = tmp_path / f"{naming}.safetensors"
        assert main(["convert", str(LORA), "--target", naming, "--output", str(path)]) == 0
        assert_same(path)
    apart = load_file(tmp_path / "diffusers.safetensors")
    name = next(name for name in apart if "to_k.lora_A" in name)
    save_file(apart | {name: apart[name] + 1}, tmp_path / "apart.safetensors")  # q, k and v no longer share a matrix
    assert_same(tmp_path / "apart.safetensors")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_short_numbers_are_read_as_torch_reads_them(tmp_path, dtype):
    path = tmp_path / "short.safetensors"
    save_file({name: tensor.to(dtype) for name, tensor in load_file(LORA).items()}, path)
    assert_same(path)


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_network_is_told_as_with_torch(tmp_path, case):
    adapter = make_adapter(case)
    parts = {name: torch.randn_like(matrix) for name, matrix in adapter.parts().items()} | {"alpha": torch.tensor(3.0)}
    module = "lora_unet_double_blocks_3_img_mlp_fc1"
    path = tmp_path / "one.safetensors"
    save_file({f"{module}.{name}": tensor for name, tensor in parts.items()}, path)
    assert_same(path)
    (told,) = read_adapter_facts(path).modules
    assert told.name == "double_blocks.3.img_mlp.fc1"
    assert told.shape == (adapter.base.out_features, adapter.base.in_features)


def test_values_that_are_not_finite_make_a_norm_that_is_none(tmp_path):
    whole = load_file(LORA)
    name = next(name for name in whole if name.endswith("lora_up.weight"))
    path = tmp_path / "nan.safetensors"
    save_file(whole | {name: torch.full_like(whole[name], float("nan"))}, path)
    norms = [module.norm for module in read_adapter_facts(path).modules]
    assert sum(norm != norm for norm in norms) == 1


@pytest.mark.parametrize("fault", ["half", "other", "model", "text"])
def test_damaged_and_foreign_files_are_refused_with_their_name(tmp_path, fault):
    path, whole = tmp_path / f"{fault}.safetensors", load_file(LORA)
    module = next(iter(whole)).split(".")[0]
    if fault == "half":
        del whole[f"{module}.lora_up.weight"]
    if fault == "other":
        whole = {name.replace("double_blocks", "blocks"): tensor for name, tensor in whole.items()}
    if fault == "model":
        whole = {"double_blocks.0.img_attn_qkv.weight": torch.ones(2, 2)}
    save_file(whole, path)
    if fault == "text":
        path.write_text("version https://git-lfs", encoding="utf-8")
    with pytest.raises(ModelFileError, match=rf"{fault}\.safetensors: "):
        read_adapter_facts(path)
