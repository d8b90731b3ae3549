"""Whether tensors make a module: what is missing, misshapen, foreign or not finite."""

from pathlib import Path

import pytest
import torch

from backend.errors import ModelFileError
from backend.networks.parts import refuse_not_finite
from backend.plan.adapter_parts import fault_of_parts
from tests.networks.small_adapters import CASES, make_adapter


def parts_of(case):
    adapter = make_adapter(case)
    return {name: matrix.detach() for name, matrix in adapter.parts().items()} | {"alpha": adapter.alpha}


@pytest.mark.parametrize("case", CASES)
def test_what_a_network_saves_is_whole_with_and_without_alpha(case):
    parts = parts_of(case)
    assert fault_of_parts(parts) is None
    del parts["alpha"]
    assert fault_of_parts(parts) is None


@pytest.mark.parametrize("case", CASES)
def test_each_matrix_is_missed(case):
    for missing in parts_of(case).keys() - {"alpha"}:
        fault = fault_of_parts({name: part for name, part in parts_of(case).items() if name != missing})
        assert "is missing in the Lo" in fault


@pytest.mark.parametrize(
    ("case", "changes", "fault"),
    [
        ("LoRA", {"lora_up.weight": torch.zeros(40, 3)}, "have shapes (40, 3) and (4, 24), which are no product"),
        ("LoRA", {"lora_down.weight": torch.zeros(24)}, "a matrix is wanted, but the shape is (24,)"),
        ("LoRA", {"dora_scale": torch.ones(3)}, "dora_scale is no part of a LoRA"),
        ("LoRA", {"alpha": torch.ones(2)}, "alpha: one number is wanted, but the shape is (2,)"),
        ("LoRA", {"alpha": torch.tensor(-1.0)}, "alpha is -1, but has to be 0 (the rank) or more"),
        ("LoRA", {"alpha": torch.tensor(float("nan"))}, "alpha is nan"),
        ("LoHa", {"hada_w2_b": torch.zeros(3, 24)}, "which are no product"),
        ("LoKr", {"lokr_w2_a": torch.zeros(8, 3)}, "which are no product"),
    ],
)
def test_what_makes_no_module_is_told(case, changes, fault):
    assert fault in fault_of_parts(parts_of(case) | changes)


def test_an_alpha_alone_is_no_module():
    assert fault_of_parts({"alpha": torch.tensor(1.0)}) == "has no matrices"


def test_values_that_are_not_finite_are_refused_with_the_file():
    refuse_not_finite({"a": torch.ones(2)}, path=Path("x"))
    with pytest.raises(ModelFileError, match="x: b holds values that are not finite"):
        refuse_not_finite({"a": torch.ones(2), "b": torch.tensor([1.0, float("inf")])}, path=Path("x"))
