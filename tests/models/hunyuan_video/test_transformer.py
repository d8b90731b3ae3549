"""The transformer gives what the reference implementation gives."""

from __future__ import annotations

import copy
import hashlib
import json

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer, cut_to_real_tokens
from backend.plan.modules import TransformerShape
from tests.models.hunyuan_video.golden_transformer import (
    CASES,
    GOLDEN,
    add_lora,
    feed_reference_features,
    load_case,
    predict,
    relative_error,
    small_transformer,
)


@pytest.fixture
def model() -> HunyuanVideoTransformer:
    return small_transformer()


@pytest.mark.parametrize("name", CASES)
def test_the_velocity_is_that_of_the_reference(model, name):
    case = load_case(name)
    feed_reference_features(model, case)
    velocity = predict(model, case)
    assert velocity.shape == case["out"].shape
    assert relative_error(velocity, case["out"]) < 1e-5


def test_with_its_own_sinusoids_a_guidance_of_6000_stays_within_their_last_bit(model):
    case = load_case("dit_b2")
    assert relative_error(predict(model, case), case["out"]) < 2e-5


@pytest.mark.parametrize("name", CASES)
def test_every_part_gives_what_it_gives_in_the_reference(model, name):
    case = load_case(name)
    feed_reference_features(model, case)
    outputs = _record_outputs(model)
    predict(model, case)
    image_tokens, text_lengths = len(case["rope.cos"]), case["in.text_mask"].sum(1).tolist()
    for key in (key for key in case if key.startswith("mid.")):
        found, expected = _output_named(outputs, key.removeprefix("mid.")), case[key]
        for item, length in enumerate(text_lengths):  # rows of padded text may hold anything
            real = {"txt_in": length, "txt": length}.get(key.split(".")[-1], image_tokens + length)
            rows = real if expected.ndim == 3 else None
            error = relative_error(found[item, :rows], expected[item, :rows])
            assert error < 1e-5, f"{key}, item {item}"


@pytest.mark.parametrize("name", CASES)
def test_velocity_and_gradients_with_a_lora_are_those_of_the_reference(model, name):
    case = load_case(name)
    feed_reference_features(model, case)
    loras = add_lora(model, case)
    velocity = predict(model, case)
    loss = F.mse_loss(velocity, case["in.target"])
    loss.backward()
    assert relative_error(velocity, case["lora_out"]) < 1e-5
    assert loss.item() == pytest.approx(case["lora_loss"].item(), rel=1e-5)
    for lora_name, lora in loras.items():
        assert relative_error(lora.down.grad, case[f"grad.{lora_name}.lora_down.weight"]) < 1e-4, lora_name
        assert relative_error(lora.up.grad, case[f"grad.{lora_name}.lora_up.weight"]) < 1e-4, lora_name


def test_gradient_checkpointing_changes_no_bit_of_the_gradients(model):
    case = load_case("dit_b2")
    kept, checkpointed = model, copy.deepcopy(model)
    checkpointed.gradient_checkpointing = True
    gradients = [_lora_gradients(each, case) for each in (kept, checkpointed)]
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


def test_gradient_checkpointing_computes_only_blocks_again_that_the_gradient_passes(model):
    case = load_case("dit_img1")
    model.gradient_checkpointing = True
    model.single_blocks[0].linear2.requires_grad_(True)
    calls = {"double_blocks.1": 0, "single_blocks.0": 0, "single_blocks.1": 0}
    for name in calls:
        model.get_submodule(name).register_forward_pre_hook(lambda *_, name=name: calls.update({name: calls[name] + 1}))
    predict(model, case).square().mean().backward()
    assert calls == {"double_blocks.1": 1, "single_blocks.0": 2, "single_blocks.1": 2}


def test_without_grad_nothing_is_kept_for_a_backward_pass(model):
    model.gradient_checkpointing = True
    add_lora(model, load_case("dit_b1"))
    with torch.no_grad():
        assert not predict(model, load_case("dit_b1")).requires_grad


def test_padded_text_changes_nothing_whatever_it_holds(model):
    case = load_case("dit_b2")
    padding = (case["in.text_mask"] == 0).unsqueeze(-1)
    garbage = torch.where(padding, torch.full_like(case["in.text_states"], 1e4), case["in.text_states"])
    assert torch.equal(predict(model, case, text_states=garbage), predict(model, case))


def test_an_item_of_a_batch_gets_what_it_gets_alone(model):
    case = load_case("dit_b2")
    alone = [predict(model, {key: value[i : i + 1] for key, value in case.items() if key[:3] == "in."}) for i in (0, 1)]
    assert relative_error(torch.cat(alone), predict(model, case)) < 1e-5


def test_real_tokens_may_stand_anywhere_in_the_mask(model):
    case = load_case("dit_b1")
    shifted = {
        "text_states": case["in.text_states"].roll(3, dims=1),
        "text_mask": case["in.text_mask"].roll(3, dims=1).bool(),
    }
    assert torch.equal(predict(model, case, **shifted), predict(model, case))


def test_text_is_cut_to_the_longest_item():
    states = torch.arange(12.0).reshape(2, 3, 2)
    real, lengths = cut_to_real_tokens(states, torch.tensor([[0, 1, 0], [1, 0, 1]]))
    assert lengths == [1, 2]
    assert real.tolist() == [[[2, 3], [0, 0]], [[6, 7], [10, 11]]]


def test_an_item_without_text_is_refused(model):
    case = load_case("dit_b2")
    mask = case["in.text_mask"].clone()
    mask[1] = 0
    with pytest.raises(ValueError, match="item 1 of the batch has no real text token"):
        predict(model, case, text_mask=mask)


def test_odd_latent_sizes_are_refused(model):
    with pytest.raises(ValueError, match="must be even, got 7 x 12"):
        predict(model, load_case("dit_b1"), x=torch.zeros(1, 16, 3, 7, 12))


def test_autocast_computes_in_its_dtype_and_returns_that_of_the_latents(model):
    case = load_case("dit_b1")
    outputs = _record_outputs(model)
    with torch.autocast("cpu", torch.bfloat16):
        velocity = predict(model, case)
    assert velocity.dtype == torch.float32
    assert outputs["single_blocks.1"].dtype == torch.bfloat16
    assert relative_error(velocity, case["out"]) < 0.03


def test_bf16_weights_work_without_autocast_on_fp32_latents(model):
    case = load_case("dit_b1")
    velocity = predict(model.to(torch.bfloat16), case)
    assert velocity.dtype == torch.float32
    assert relative_error(velocity, case["out"]) < 0.03


def test_a_lora_learns_under_autocast_with_bf16_weights(model):
    case = load_case("dit_b2")
    model.to(torch.bfloat16).gradient_checkpointing = True
    with torch.autocast("cpu", torch.bfloat16):
        gradients = _lora_gradients(model, case)
    for name, gradient in gradients.items():
        assert relative_error(gradient, case[f"grad.{name}"]) < 0.2, name


def test_sampling_in_inference_mode_leaves_training_possible(model):
    case = load_case("dit_img1")
    other_size = torch.zeros(1, 16, 1, 10, 14)  # a size that no other test has put into the cache
    with torch.inference_mode():
        predict(model, case, x=other_size)
    loras = add_lora(model, case)
    predict(model, case, x=other_size).mean().backward()
    assert all(lora.up.grad.isfinite().all() for lora in loras.values())


def test_blocks_compile_without_a_graph_break(model):
    case = load_case("dit_b2")
    expected = predict(model, case)
    for block in (*model.double_blocks, *model.single_blocks):
        block.compile(backend="eager", fullgraph=True)
    assert relative_error(predict(model, case), expected) < 1e-6


def test_32_channels_go_in_and_16_come_out():
    shape = TransformerShape(64, 2, 1, 1, 256, in_channels=32, text_width=32, pooled_width=24)
    case = load_case("dit_b1")
    velocity = predict(HunyuanVideoTransformer(shape), case, x=torch.zeros(1, 32, 3, 8, 12))
    assert velocity.shape == (1, 16, 3, 8, 12)


def test_the_full_size_has_exactly_the_released_names_and_shapes():
    expected = json.loads((GOLDEN / "full_linear_modules.json").read_text())
    with torch.device("meta"):
        model = HunyuanVideoTransformer(TransformerShape.full_size())
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    lines = "\n".join(f"{name} {shape}" for name, shape in sorted(shapes.items()))
    assert sum(parameter.numel() for parameter in model.parameters()) == expected["total_parameters"]
    assert expected["state_dict_block0"].items() <= shapes.items()
    assert len(shapes) == expected["state_dict_count"]
    assert hashlib.sha256(lines.encode()).hexdigest() == expected["state_dict_sha256"]


def _record_outputs(model: HunyuanVideoTransformer) -> dict[str, object]:
    outputs: dict[str, object] = {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda module, args, output, name=name: outputs.update({name: output}))
    return outputs


def _output_named(outputs: dict[str, object], name: str) -> Tensor:
    if name.endswith((".img", ".txt")):
        return outputs[name[:-4]][name.endswith(".txt")]
    return outputs[name]


def _lora_gradients(model: HunyuanVideoTransformer, case: dict[str, Tensor]) -> dict[str, Tensor]:
    loras = add_lora(model, case)
    F.mse_loss(predict(model, case), case["in.target"]).backward()
    downs = {f"{name}.lora_down.weight": lora.down.grad for name, lora in loras.items()}
    return downs | {f"{name}.lora_up.weight": lora.up.grad for name, lora in loras.items()}
