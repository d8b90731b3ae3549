"""Files as start or base weights: both ways of naming, sizes of modules, merging."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.errors import ModelFileError
from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.networks.kinds import ADAPTERS
from backend.networks.lora import LoRALinear
from backend.networks.merge import MergedLoRA
from backend.networks.network import attach_network
from backend.networks.weights import read_lora_weights, sizes_of
from backend.plan.adapter_files import by_module
from backend.plan.adapters import adapter_size
from backend.plan.modules import block_linears
from tests.networks.test_lora import largest_error, part, predict

GOLDEN = Path(__file__).parents[1] / "golden"


def changes(tensors):
    """The change of the weight that each module of a LoRA file makes, by name."""
    return {
        module: LoRALinear.change(parts, parts["alpha"].item() if "alpha" in parts else None)
        for module, parts in by_module(tensors).items()
    }


def test_both_ways_of_naming_give_the_same_change_of_the_weights():
    native = changes(read_lora_weights(GOLDEN / "lora_default.safetensors"))
    other = changes(read_lora_weights(GOLDEN / "lora_other.safetensors"))
    assert native.keys() == other.keys()
    for module in native:
        assert largest_error(other[module], native[module]) < 1e-6


def test_loha_and_lokr_files_are_named_both_ways_too(tmp_path):
    for number, parts in enumerate((("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"), ("lokr_w1", "lokr_w2"))):
        for prefix in (
            "diffusion_model.single_blocks.1.modulation.linear",
            "lora_unet_single_blocks_1_modulation_linear",
        ):
            path = tmp_path / f"{number}.safetensors"
            save_file({f"{prefix}.{part}": torch.ones(2, 2) for part in (*parts, "alpha")}, path)
            expected = {f"lora_unet_single_blocks_1_modulation_linear.{part}" for part in (*parts, "alpha")}
            assert read_lora_weights(path).keys() == expected


def test_a_missing_alpha_is_the_rank(transformer):
    file = read_lora_weights(GOLDEN / "lora_other.safetensors")
    sizes = sizes_of(file, block_linears(transformer.shape))
    assert {(size.rank, size.alpha) for size in sizes.values()} == {(4, 4.0)}


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


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_sizes_ranks_alphas_and_factors_come_from_the_file(transformer, module_names, kind):
    """Each module of another size: ranks 2, 3, 4 and alphas 1, 2, 3 in turn, factors 4 and balanced, whole or not."""
    linears = [linear for linear in block_linears(transformer.shape) if linear.name in module_names]
    sizes = {
        linear.name: adapter_size(
            kind, linear, rank=(2 + index % 3) * (1 + 99 * (index % 5 == 0)), alpha=1 + index % 3,
            factor=(4, -1)[index % 2],
        )
        for index, linear in enumerate(linears)
    }  # fmt: skip
    original = attach_network(transformer, sizes, adapter=ADAPTERS[kind], generator=torch.Generator().manual_seed(1))
    for parameter in original.parameters():
        torch.nn.init.normal_(parameter)
    file = {name: tensor.clone() for name, tensor in original.state_dict().items()}

    found = sizes_of(file, linears)
    assert {name: size.shapes for name, size in found.items()} == {name: size.shapes for name, size in sizes.items()}
    fresh = load_transformer(GOLDEN / "dit_model.safetensors", dtype=torch.float32)
    again = attach_network(fresh, found, adapter=ADAPTERS[kind])
    assert again.load_state_dict(file) == []
    assert [layer.scale for layer in again.layers.values()] == [layer.scale for layer in original.layers.values()]
    assert all(torch.equal(tensor, file[name]) for name, tensor in again.state_dict().items())
    golden = load_file(GOLDEN / "dit_img1.safetensors")
    with torch.no_grad():
        assert torch.equal(predict(fresh, golden), predict(transformer, golden))


def test_a_file_of_nothing_but_other_modules_has_no_sizes(transformer):
    file = {"lora_unet_blocks_7_q.lora_down.weight": torch.zeros(2, 4)}
    with pytest.raises(ModelFileError, match="none of the LoRA's 1 modules is in the transformer"):
        sizes_of(file, block_linears(transformer.shape))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lora_unet_double_blocks_0_img_mod_linear.lokr_w1_a", "is no part of a LoRA, LoHa or LoKr"),
        ("text_model.lora_A.weight", "a tensor is called text_model.lora_A.weight"),
    ],
)
def test_files_that_cannot_be_used_are_told(tmp_path, name, message):
    save_file({name: torch.zeros(2, 2)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelFileError, match=message):
        read_lora_weights(tmp_path / "x.safetensors")
