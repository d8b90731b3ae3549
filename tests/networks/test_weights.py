"""LoRA files as start or base weights: both ways of naming, sizes of modules, merging."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.errors import ModelFileError
from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.networks.lora import create_lora
from backend.networks.weights import MergedLoRA, module_sizes, read_lora_weights
from backend.plan.modules import block_linears
from tests.networks.test_lora import largest_error, part, predict

GOLDEN = Path(__file__).parents[1] / "golden"


def product(tensors, module):
    rank, alpha = module_sizes(tensors)[module]
    return tensors[f"{module}.lora_up.weight"] @ tensors[f"{module}.lora_down.weight"] * (alpha / rank)


def test_both_ways_of_naming_give_the_same_change_of_the_weights():
    native = read_lora_weights(GOLDEN / "lora_default.safetensors")
    other = read_lora_weights(GOLDEN / "lora_other.safetensors")
    assert module_sizes(native).keys() == module_sizes(other).keys()
    for module in module_sizes(native):
        assert largest_error(product(other, module), product(native, module)) < 1e-6


def test_a_missing_alpha_is_the_rank():
    assert set(module_sizes(read_lora_weights(GOLDEN / "lora_other.safetensors")).values()) == {(4, 4.0)}


@pytest.mark.parametrize("strengths", [(1.0,), (0.5, 0.5)])
def test_a_merged_lora_predicts_what_an_attached_one_does(strengths):
    golden = load_file(GOLDEN / "dit_b1.safetensors")
    merges = [MergedLoRA(part(golden, "lora."), strength) for strength in strengths]

    def merge(name, weight):
        for each in merges:
            weight = each(name, weight)
        return weight

    transformer = load_transformer(GOLDEN / "dit_model.safetensors", dtype=torch.float32, merge=merge)
    with torch.no_grad():
        assert largest_error(predict(transformer, golden), golden["lora_out"]) < 1e-5


def test_modules_may_have_ranks_of_their_own(transformer, module_names):
    sizes = {name: (2 + index % 3, 1.0) for index, name in enumerate(module_names)}
    network = create_lora(transformer, module_names, rank=8, alpha=8.0, sizes=sizes)
    assert [layer.rank for layer in network.layers.values()] == [rank for rank, _ in sizes.values()]
    assert {layer.scale * layer.rank for layer in network.layers.values()} == {1.0}


def test_a_lora_for_another_model_is_told(transformer):
    modules = block_linears(transformer.shape)
    lora = part(load_file(GOLDEN / "dit_b1.safetensors"), "lora.")
    assert MergedLoRA(lora, 1.0).unused(modules) == []
    odd = {"lora_unet_blocks_7_q.lora_down.weight": torch.zeros(2, 4)}
    (problem,) = MergedLoRA({**lora, **odd}, 1.0).unused(modules)
    assert problem.severity == "warning" and "lora_unet_blocks_7_q" in problem.message
    with pytest.raises(ModelFileError, match="none of the LoRA's 1 modules is in the transformer"):
        MergedLoRA(odd, 1.0).unused(modules)
    wide = {name: torch.zeros(3, 3) if "lora_up" in name else tensor for name, tensor in lora.items()}
    with pytest.raises(ModelFileError, match="the matrices do not fit"):
        MergedLoRA(wide, 1.0)("double_blocks.0.img_attn_qkv", torch.zeros(192, 64))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lora_unet_double_blocks_0_img_mod_linear.hada_w1_a", "is no part of a LoRA"),
        ("text_model.lora_A.weight", "a tensor is called text_model.lora_A.weight"),
    ],
)
def test_files_that_cannot_be_used_are_told(tmp_path, name, message):
    save_file({name: torch.zeros(2, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelFileError, match=message):
        read_lora_weights(tmp_path / "x.safetensors")
