"""The inventory of Linears and the size are those of the real transformer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from backend.errors import ModelFileError
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.plan.modules import LinearModule, TransformerShape, block_linears, shape_from_header
from backend.plan.weights_header import read_header

FILE = Path("m.safetensors")
GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = TransformerShape(64, 2, 2, 2, 256, 16, 32, 24)


def real_block_linears(shape: TransformerShape) -> list[LinearModule]:
    with torch.device("meta"):
        model = HunyuanVideoTransformer(shape)
    return [
        LinearModule(name, module.in_features, module.out_features)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name.startswith(("double_blocks.", "single_blocks."))
    ]


@pytest.mark.parametrize("shape", [TransformerShape.full_size(), SMALL])
def test_the_inventory_is_that_of_the_real_transformer_in_its_order(shape):
    assert block_linears(shape) == real_block_linears(shape)


def test_the_inventory_at_full_size_is_that_of_the_reference():
    listed = json.loads((GOLDEN / "full_linear_modules.json").read_text())["linear"]
    expected = [
        LinearModule(name, shape[1], shape[0])
        for name, shape, has_bias in listed
        if name.startswith(("double_blocks.", "single_blocks."))
    ]
    linears = block_linears(TransformerShape.full_size())
    assert [linear for linear in linears if "_blocks.0." in linear.name] == expected
    assert len(linears) == 20 * 10 + 40 * 3


def test_every_number_of_the_small_model_is_read_from_its_header():
    tensors, _ = read_header(GOLDEN / "dit_model.safetensors")
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    assert shape_from_header(shapes, path=FILE) == SMALL
    assert (
        shape_from_header({f"model.diffusion_model.{name}": shape for name, shape in shapes.items()}, path=FILE)
        == SMALL
    )


def test_the_full_size_is_read_from_its_own_shapes():
    with torch.device("meta"):
        model = HunyuanVideoTransformer(TransformerShape.full_size())
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert shape_from_header(shapes, path=FILE) == TransformerShape.full_size()


@pytest.mark.parametrize(("heads", "dims"), [(24, (16, 56, 56)), (48, (8, 28, 28)), (96, (4, 14, 14))])
def test_rope_is_split_in_the_released_proportion(heads, dims):
    shape = TransformerShape(3072, heads, 1, 1, 12288, 16, 4096, 768)
    assert shape.rope_dims == dims
    assert sum(dims) == shape.head_dim


def test_a_missing_tensor_is_named_with_the_kind_of_file():
    tensors, _ = read_header(GOLDEN / "lora_default.safetensors")
    with pytest.raises(ModelFileError, match=r"m.safetensors: .*'img_in.proj.weight' is missing.*seems to be: LoRA"):
        shape_from_header({name: tensor.shape for name, tensor in tensors.items()}, path=FILE)


def test_impossible_head_widths_are_refused():
    tensors, _ = read_header(GOLDEN / "dit_model.safetensors")
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    shapes["double_blocks.0.img_attn_q_norm.weight"] = (48,)
    with pytest.raises(ModelFileError, match=r"m.safetensors: attention heads of width 48 in a hidden size of 64"):
        shape_from_header(shapes, path=FILE)
