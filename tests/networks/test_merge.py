"""Merging files into weights, against the reference's merged model and the products written out."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.errors import ModelFileError
from backend.networks.merge import MergedLoRA
from backend.plan.modules import block_linears

GOLDEN = Path(__file__).parents[1] / "golden"
BASE = load_file(GOLDEN / "dit_model.safetensors")
LORA = load_file(GOLDEN / "lora_default.safetensors")
MERGED = load_file(GOLDEN / "lora_merged.safetensors")
NAME = "double_blocks.0.img_attn_qkv"
KEY = "lora_unet_double_blocks_0_img_attn_qkv"


@pytest.mark.parametrize("key", MERGED)
def test_the_merged_weights_are_those_of_the_reference(key):
    weight = BASE[key].float()
    merged = MergedLoRA(LORA, 0.8)(key.removesuffix(".weight"), weight)
    assert torch.equal(weight, BASE[key].float())
    assert (merged - MERGED[key]).abs().max() <= 1e-5 * MERGED[key].abs().max()
    assert (merged - weight).abs().max() > 1e-3


@pytest.mark.parametrize("key", MERGED)
def test_a_bfloat16_weight_is_rounded_once(key):
    merged = MergedLoRA(LORA, 0.8)(key.removesuffix(".weight"), BASE[key])
    assert merged.dtype == torch.bfloat16
    torch.testing.assert_close(merged, MERGED[key].bfloat16())


def matrices(**shapes: tuple[int, int]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {f"{KEY}.{part}": torch.randn(shape, generator=generator) for part, shape in shapes.items()}


LOHA = matrices(hada_w1_a=(12, 3), hada_w1_b=(3, 8), hada_w2_a=(12, 3), hada_w2_b=(3, 8))
LOKR = matrices(lokr_w1=(2, 4), lokr_w2_a=(6, 3), lokr_w2_b=(3, 2))
WHOLE_LOKR = matrices(lokr_w1=(2, 4), lokr_w2=(6, 2))


def change_of(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """The product of the matrices, not scaled, in float64."""
    part = {name.partition(".")[2]: tensor.double() for name, tensor in tensors.items()}
    if "hada_w1_a" in part:
        return (part["hada_w1_a"] @ part["hada_w1_b"]) * (part["hada_w2_a"] @ part["hada_w2_b"])
    larger = part["lokr_w2"] if "lokr_w2" in part else part["lokr_w2_a"] @ part["lokr_w2_b"]
    rows = [torch.cat([number * larger for number in row], dim=1) for row in part["lokr_w1"]]
    return torch.cat(rows)


@pytest.mark.parametrize(
    ("tensors", "alpha", "scale"),
    [(LOHA, 1.5, 0.5), (LOHA, None, 1), (LOKR, 1.5, 0.5), (LOKR, None, 1), (WHOLE_LOKR, 100.0, 1)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loha_and_lokr_are_merged_with_the_scale_of_their_file_whatever_its_factor(tensors, alpha, scale, dtype):
    weight = torch.randn(12, 8, generator=torch.Generator().manual_seed(3)).to(dtype)
    file = tensors if alpha is None else {**tensors, f"{KEY}.alpha": torch.tensor(alpha)}
    merged = MergedLoRA(file, -0.7)(NAME, weight)
    expected = weight.double() - 0.7 * scale * change_of(tensors)
    assert merged.dtype == dtype
    torch.testing.assert_close(merged, expected.to(dtype))


def test_a_file_may_hold_several_kinds_and_leaves_other_weights_alone():
    other = {name.replace("img_attn_qkv", "txt_attn_qkv"): tensor for name, tensor in LOKR.items()}
    merge, weight = MergedLoRA({**LOHA, **other}, 1.0), torch.zeros(12, 8)
    torch.testing.assert_close(merge(NAME, weight), change_of(LOHA).float())
    torch.testing.assert_close(merge("double_blocks.0.txt_attn_qkv", weight), change_of(LOKR).float())
    assert merge("double_blocks.1.txt_attn_qkv", weight) is weight


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (matrices(**{"lora_down.weight": (4, 8), "lora_up.weight": (9, 4)}), r"lora_up.weight: .* shape \(9, 4\), but"),
        (matrices(**{"lora_down.weight": (4, 8), "lora_up.weight": (12, 5)}), r"shape \(12, 5\), but \(12, 4\)"),
        (matrices(**{"lora_down.weight": (4, 8)}), "lora_up.weight is missing"),
        ({**LOHA, f"{KEY}.hada_w2_b": torch.zeros(3, 9)}, r"hada_w2_b: the LoHa file has shape \(3, 9\), but \(3, 8\)"),
        ({**LOKR, f"{KEY}.lokr_w1": torch.zeros(5, 4)}, r"lokr_w1: the LoKr file has shape \(5, 4\), but \(3, 2\)"),
        ({**WHOLE_LOKR, f"{KEY}.lokr_w2": torch.zeros(5, 2)}, r"lokr_w2: .* shape \(5, 2\), but \(6, 2\) is wanted"),
        ({**LOKR, f"{KEY}.alpha": torch.zeros(2)}, "alpha: one number is wanted"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(tensors, message):
    with pytest.raises(ModelFileError, match=message):
        MergedLoRA(tensors, 1.0)(NAME, torch.zeros(12, 8))


def test_modules_that_the_transformer_lacks_are_told(transformer):
    linears = block_linears(transformer.shape)
    assert MergedLoRA(LORA, 1.0).unused(linears) == []
    odd = {"lora_unet_blocks_7_q.lora_down.weight": torch.zeros(2, 4)}
    (problem,) = MergedLoRA({**LORA, **odd}, 1.0).unused(linears)
    assert problem.severity == "warning" and "lora_unet_blocks_7_q" in problem.message
    with pytest.raises(ModelFileError, match="none of the LoRA's 1 modules is in the transformer"):
        MergedLoRA(odd, 1.0).unused(linears)
