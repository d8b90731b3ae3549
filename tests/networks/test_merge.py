"""Merging a LoRA into weights, against the reference's merged model."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.networks.merge import merge_into
from backend.plan.selection import lora_name

GOLDEN = Path(__file__).parents[1] / "golden"
BASE = load_file(GOLDEN / "dit_model.safetensors")
LORA = load_file(GOLDEN / "lora_default.safetensors")
MERGED = load_file(GOLDEN / "lora_merged.safetensors")


def matrices(key: str) -> dict:
    name = lora_name(key.removesuffix(".weight"))
    return {
        "down": LORA[f"{name}.lora_down.weight"],
        "up": LORA[f"{name}.lora_up.weight"],
        "alpha": LORA[f"{name}.alpha"].item(),
    }


@pytest.mark.parametrize("key", MERGED)
def test_the_merged_weights_are_those_of_the_reference(key):
    weight = BASE[key].float()
    merged = merge_into(weight, **matrices(key), multiplier=0.8)
    assert merged is weight
    assert (merged - MERGED[key]).abs().max() <= 1e-5 * MERGED[key].abs().max()
    assert (merged - BASE[key].float()).abs().max() > 1e-3


@pytest.mark.parametrize("key", MERGED)
def test_a_bfloat16_weight_is_rounded_once(key):
    merged = merge_into(BASE[key].clone(), **matrices(key), multiplier=0.8)
    assert merged.dtype == torch.bfloat16
    torch.testing.assert_close(merged, MERGED[key].bfloat16())


def test_without_alpha_the_scale_is_the_multiplier():
    merged = merge_into(torch.zeros(3, 2), down=torch.ones(4, 2), up=torch.ones(3, 4), multiplier=0.5)
    assert torch.equal(merged, torch.full((3, 2), 2.0))


def test_a_trained_weight_can_be_merged():
    weight = torch.zeros(3, 2, requires_grad=True)
    assert merge_into(weight, down=torch.ones(1, 2), up=torch.ones(3, 1)).sum() == 6


@pytest.mark.parametrize(("down", "up"), [((4, 2), (3, 5)), ((4, 7), (3, 4)), ((4, 2), (1, 4))])
def test_matrices_that_do_not_fit_are_refused(down, up):
    with pytest.raises(ValueError, match="the matrices do not fit: down "):
        merge_into(torch.zeros(3, 2), down=torch.ones(down), up=torch.ones(up))
