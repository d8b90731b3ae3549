"""LoRA modules: their outputs, gradients, parameter groups, and loading of weights, against the reference's values."""

import copy
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import mse_loss

from backend.errors import ModelFileError, OptionError
from backend.networks.lora import Dropouts, LoRALinear, create_lora

GOLDEN = Path(__file__).parents[1] / "golden"
NAME = "double_blocks.0.img_attn_qkv"
KEY = "lora_unet_double_blocks_0_img_attn_qkv"


def largest_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Relative to the largest magnitude in the expected tensor."""
    return ((found - expected).abs().max() / expected.abs().max()).item()


def part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def linear_with_lora(dtype: torch.dtype = torch.float32, **options) -> LoRALinear:
    """A LoRALinear 24 -> 40 of rank 4, alpha 2, with both matrices non-zero."""
    generator = torch.Generator().manual_seed(3)
    layer = LoRALinear(nn.Linear(24, 40), **{"rank": 4, "alpha": 2.0, "generator": generator} | options)
    nn.init.normal_(layer.lora_up.weight, generator=generator)
    layer.base.to(dtype)
    return layer


def predict(transformer, tensors):
    return transformer(
        tensors["in.x"],
        tensors["in.timestep"],
        text_states=tensors["in.text_states"],
        text_mask=tensors["in.text_mask"],
        pooled_text=tensors["in.text_states_2"],
        guidance=tensors["in.guidance"],
    )


# In dit_b2 the guidance is 6000: float32 sines of such angles are up to 4e-4 off in the reference and differ from ours
# by 2e-4. The prediction without LoRA differs by the same 1.2e-5.
@pytest.mark.parametrize(("case", "tolerance"), [("dit_b1", 1e-5), ("dit_b2", 2e-5), ("dit_img1", 1e-5)])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_prediction_loss_and_gradients_are_those_of_the_reference(
    transformer, module_names, case, tolerance, checkpointing
):
    golden = load_file(GOLDEN / f"{case}.safetensors")
    transformer.gradient_checkpointing = checkpointing
    network = create_lora(transformer, module_names, rank=4, alpha=2.0)
    assert network.load_state_dict(part(golden, "lora.")) == []

    out = predict(transformer, golden)
    loss = mse_loss(out, golden["in.target"])
    loss.backward()

    assert largest_error(out, golden["lora_out"]) < tolerance
    assert loss.item() == pytest.approx(golden["lora_loss"].item(), rel=1e-5)
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    expected = part(golden, "grad.")
    assert gradients.keys() == expected.keys()
    assert max(largest_error(gradients[name], expected[name]) for name in expected) < 1e-4


def test_a_new_network_changes_nothing_until_it_has_learned(transformer, module_names):
    golden = load_file(GOLDEN / "dit_img1.safetensors")
    with torch.no_grad():
        before = predict(transformer, golden)
        create_lora(transformer, module_names, rank=4, alpha=2.0)
        assert torch.equal(predict(transformer, golden), before)


def test_only_the_lora_matrices_learn(transformer, module_names):
    transformer.requires_grad_(True)
    network = create_lora(transformer, module_names, rank=4)
    learning = {id(parameter) for parameter in transformer.parameters() if parameter.requires_grad}
    assert learning == {id(parameter) for parameter in network.parameters()}
    assert len(learning) == 40
    assert network.trainable_parameters == 23552


def test_a_seed_gives_the_same_down_matrices_uniform_within_the_bound_of_kaiming(transformer):
    fresh = copy.deepcopy(transformer)
    global_state = torch.get_rng_state()
    options = {"rank": 8, "alpha": 1.0}
    first = create_lora(transformer, [NAME], generator=torch.Generator().manual_seed(42), **options).state_dict()
    again = create_lora(fresh, [NAME], generator=torch.Generator().manual_seed(42), **options).state_dict()
    down = first[f"{KEY}.lora_down.weight"]
    assert torch.equal(down, again[f"{KEY}.lora_down.weight"])
    assert down.abs().max().item() == pytest.approx(1 / math.sqrt(64), rel=0.05)  # a = sqrt(5): the bound is 1/sqrt(in)
    assert down.mean().abs().item() < 0.02
    assert not first[f"{KEY}.lora_up.weight"].any()
    assert torch.equal(torch.get_rng_state(), global_state)


def test_the_state_has_the_keys_shapes_and_dtypes_of_a_file(transformer):
    state = create_lora(transformer, [NAME], rank=4, alpha=2.0).state_dict()
    assert {key: (tuple(tensor.shape), tensor.dtype) for key, tensor in state.items()} == {
        f"{KEY}.lora_down.weight": ((4, 64), torch.float32),
        f"{KEY}.lora_up.weight": ((192, 4), torch.float32),
        f"{KEY}.alpha": ((), torch.float32),
    }
    assert state[f"{KEY}.alpha"].item() == 2.0


@pytest.mark.parametrize(
    "case", json.loads((GOLDEN / "loraplus_groups.json").read_text("utf-8")), ids=lambda c: c["case"]
)
def test_parameter_groups_are_those_of_the_reference(transformer, module_names, case):
    network = create_lora(transformer, module_names, rank=4)
    groups = network.parameter_groups(case["learning_rate"], case["loraplus_lr_ratio"])
    assert [group["name"] for group in groups] == case["lr_descriptions"]
    by_name = dict(network.named_parameters())
    for group, expected in zip(groups, case["groups"], strict=True):
        assert group["lr"] == pytest.approx(expected["lr"], rel=1e-12)
        assert group["param_names"] == expected["names"]
        assert sum(parameter.numel() for parameter in group["params"]) == expected["numel"]
        assert all(
            parameter is by_name[name] for parameter, name in zip(group["params"], expected["names"], strict=True)
        )


def test_an_optimizer_takes_the_groups(transformer, module_names):
    groups = create_lora(transformer, module_names, rank=4).parameter_groups(1e-4, 4.0)
    optimizer = torch.optim.AdamW(groups)
    assert [group["lr"] for group in optimizer.param_groups] == [1e-4, 4e-4]


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.nan])
def test_a_ratio_that_is_not_positive_is_refused(transformer, ratio):
    network = create_lora(transformer, [NAME], rank=4)
    with pytest.raises(OptionError, match=f"loraplus_lr_ratio is {ratio}, but has to be greater than 0"):
        network.parameter_groups(1e-4, ratio)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "network_dim is 0, but the rank has to be at least 1"),
        ({"rank": 4, "alpha": -1.0}, r"network_alpha is -1.0, but has to be 0 \(same as the rank\) or more"),
        ({"rank": 4, "alpha": math.nan}, "network_alpha is nan"),
        ({"rank": 4, "dropouts": Dropouts(neuron=1.0)}, "network_dropout is 1.0, but has to be at least 0 and below 1"),
    ],
)
def test_impossible_options_are_refused(transformer, options, message):
    with pytest.raises(OptionError, match=message):
        create_lora(transformer, [NAME], **options)
    assert isinstance(transformer.get_submodule(NAME), nn.Linear)


def test_a_network_without_modules_is_refused(transformer):
    with pytest.raises(OptionError, match="no module is left to train"):
        create_lora(transformer, [], rank=4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("double_blocks.99.img_attn_qkv", "double_blocks.99.img_attn_qkv is not in the transformer"),
        ("double_blocks.0", "double_blocks.0 is a DoubleBlock, not a Linear"),
    ],
)
def test_a_name_that_is_no_linear_is_a_mistake_of_the_caller(transformer, name, message):
    with pytest.raises(ValueError, match=message):
        create_lora(transformer, [NAME, name], rank=4)
    assert isinstance(transformer.get_submodule(NAME), nn.Linear)


@pytest.mark.parametrize("alpha", [None, 0])
def test_without_alpha_the_scale_is_one(transformer, alpha):
    layer = create_lora(transformer, [NAME], rank=4, alpha=alpha).layers[KEY]
    assert layer.scale == 1.0
    assert layer.alpha.item() == 4.0


def test_the_output_is_base_plus_scaled_product():
    layer, x = linear_with_lora(), torch.randn(2, 7, 24)
    weight = layer.base.weight + 0.5 * layer.lora_up.weight @ layer.lora_down.weight
    torch.testing.assert_close(layer(x), nn.functional.linear(x, weight, layer.base.bias))


def test_the_sum_takes_the_place_of_the_base_output_and_autograd_copies_no_gradient_for_it():
    layer, x = linear_with_lora(), torch.randn(2, 7, 24)
    base_out = layer.base(x.flatten(0, 1))
    out = layer.add_delta(base_out, x)
    assert out.data_ptr() == base_out.data_ptr()
    assert out.grad_fn.name() == "AddmmBackward0"  # of a view it would be CopySlices


def test_with_a_bfloat16_base_the_sum_is_computed_in_float32_and_rounded_once():
    layer, x = linear_with_lora(torch.bfloat16), torch.randn(2, 7, 24, dtype=torch.bfloat16)
    delta = x.float() @ (0.5 * layer.lora_up.weight @ layer.lora_down.weight).T
    expected = (layer.base(x).float() + delta).to(torch.bfloat16)
    out = layer(x)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, expected)
    out.float().sum().backward()
    assert layer.lora_down.weight.grad.dtype == layer.lora_up.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("base_dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("x_dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_everything_is_computed_in_its_dtype(base_dtype, x_dtype):
    layer, x = linear_with_lora(base_dtype), torch.randn(2, 7, 24, dtype=x_dtype)
    exact = linear_with_lora()
    exact.base.load_state_dict(layer.base.state_dict())
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    assert out.dtype == torch.bfloat16
    assert largest_error(out.float(), exact(x.float())) < 0.02
    out.float().sum().backward()
    assert layer.lora_down.weight.grad.dtype == layer.lora_up.weight.grad.dtype == torch.float32


def test_dropout_acts_in_training_only():
    layer, x = linear_with_lora(dropouts=Dropouts(neuron=0.5)), torch.randn(2, 7, 24)
    expected = linear_with_lora()
    expected.base.load_state_dict(layer.base.state_dict())
    torch.manual_seed(0)
    assert not torch.allclose(layer(x), expected(x))
    layer.eval()
    assert torch.equal(layer(x), expected(x))


def test_the_network_turns_dropout_on_in_a_transformer_that_is_in_evaluation_mode(transformer):
    network = create_lora(transformer, [NAME], rank=4, dropouts=Dropouts(neuron=0.5))
    transformer.eval()
    network.train()
    assert network.layers[KEY].training
    network.train(False)
    assert not network.layers[KEY].training


class TestLoading:
    """Weights of a file in a network of rank 4 and alpha 1."""

    @pytest.fixture
    def network(self, transformer, module_names):
        return create_lora(transformer, module_names, rank=4, alpha=1.0)

    @pytest.fixture
    def file(self, module_names):
        tensors = load_file(GOLDEN / "dit_b1.safetensors")
        return part(tensors, "lora.")

    def test_what_was_loaded_is_what_is_saved(self, network, file):
        network.load_state_dict(file)
        state = network.state_dict()
        assert state.keys() == file.keys()
        assert all(torch.equal(state[key], file[key].float()) for key in file)

    def test_the_scale_follows_the_alpha_of_the_file(self, network, file):
        assert {layer.scale for layer in network.layers.values()} == {0.25}
        network.load_state_dict(file)
        assert {layer.scale for layer in network.layers.values()} == {0.5}

    def test_a_missing_alpha_is_the_rank(self, network, file):
        network.load_state_dict({key: tensor for key, tensor in file.items() if not key.endswith(".alpha")})
        assert {(layer.scale, layer.alpha.item()) for layer in network.layers.values()} == {(1.0, 4.0)}

    def test_an_alpha_in_another_dtype_is_taken(self, network, file):
        network.load_state_dict(file | {f"{KEY}.alpha": torch.tensor([8])})
        assert network.layers[KEY].scale == 2.0

    def test_matrices_in_bfloat16_become_float32(self, network, file):
        network.load_state_dict({key: tensor.bfloat16() for key, tensor in file.items()})
        assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}

    def test_another_rank_is_refused_once_with_the_way_out(self, network, file):
        file = {key: tensor[:2] if "lora_down" in key else tensor for key, tensor in file.items()}
        with pytest.raises(ModelFileError) as refusal:
            network.load_state_dict(file)
        assert str(refusal.value) == (
            f"{KEY}: the LoRA file has rank 2, but network_dim is 4 (set network_dim to 2, or switch "
            "dim_from_weights on)"
        )

    def test_another_width_is_refused_and_nothing_is_changed(self, network, file):
        before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        last = "lora_unet_single_blocks_1_linear2.lora_up.weight"
        with pytest.raises(ModelFileError) as refusal:
            network.load_state_dict(file | {last: torch.zeros(65, 4)})
        assert str(refusal.value) == (
            f"{last}: the LoRA file has shape (65, 4), but (64, 4) is wanted (the file was made for another model)"
        )
        assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())

    def test_a_missing_matrix_is_refused(self, network, file):
        del file[f"{KEY}.lora_up.weight"]
        with pytest.raises(ModelFileError, match=f"{KEY}: lora_up.weight is missing in the LoRA file"):
            network.load_state_dict(file)

    def test_an_alpha_that_is_not_one_number_is_refused(self, network, file):
        with pytest.raises(ModelFileError, match=rf"{KEY}.alpha: one number is wanted, but the shape is \(2,\)"):
            network.load_state_dict(file | {f"{KEY}.alpha": torch.ones(2)})

    def test_a_file_with_other_keys_is_refused_where_the_reference_loads_nothing(self, network):
        with pytest.raises(ModelFileError) as refusal:
            network.load_state_dict(load_file(GOLDEN / "lora_other.safetensors"))
        assert "none of the modules to train; it holds diffusion_model.double_blocks.0" in str(refusal.value)
        assert "begin with lora_unet_" in str(refusal.value)

    def test_modules_that_only_one_side_has_are_told(self, network, file):
        file = {key: tensor for key, tensor in file.items() if "single_blocks_1" not in key}
        extra = "lora_unet_double_blocks_0_img_mod_linear"
        problems = network.load_state_dict(file | {f"{extra}.lora_down.weight": torch.zeros(4, 64)})
        assert [problem.severity for problem in problems] == ["warning", "warning"]
        assert problems[0].message.startswith("2 modules are not in the LoRA file")
        assert problems[1].message.endswith(f"for example {extra}")


def test_rank_dropout_drops_the_same_ranks_for_all_tokens_of_an_item_and_keeps_the_mean():
    layer = linear_with_lora(dropouts=Dropouts(rank=0.5)).train()
    inner = torch.ones(2000, 3, 4)
    torch.manual_seed(1)
    dropped = layer._dropped(inner)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropped[:, 0], dropped[:, 1]) and torch.equal(dropped[:, 0], dropped[:, 2])
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert layer._dropped(torch.ones(3, 4)).shape == (3, 4)  # the modulation layers have no tokens


def test_module_dropout_leaves_the_base_alone_as_often_as_asked():
    layer, x = linear_with_lora(dropouts=Dropouts(module=0.3)).train(), torch.randn(1, 24)
    torch.manual_seed(2)
    base = layer.base(x)
    left_out = sum(torch.equal(layer(x), base) for _ in range(1000))
    assert 250 < left_out < 350
    assert not torch.equal(layer.eval()(x), base)


def test_weight_norms_are_those_of_the_product_and_limited_to_the_limit(transformer, module_names):
    golden = load_file(GOLDEN / "dit_b1.safetensors")
    network = create_lora(transformer, module_names, rank=4, alpha=2.0)
    network.load_state_dict(part(golden, "lora."))

    def norms():
        layers = network.layers.values()
        return [(layer.scale * (layer.lora_up.weight @ layer.lora_down.weight)).norm().item() for layer in layers]

    before = norms()
    limit = sorted(before)[len(before) // 2]
    result = network.limit_weight_norms(limit)
    assert norms() == pytest.approx([min(norm, limit) for norm in before], rel=1e-5)
    assert result.scaled == sum(norm > limit * (1 + 1e-6) for norm in before)
    assert result.mean == pytest.approx(sum(norms()) / len(before), rel=1e-5)
    assert result.largest == pytest.approx(limit, rel=1e-5)
