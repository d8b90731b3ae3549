"""Gradient checkpointing: what is kept, what is computed again, and that the gradients stay what they are."""

from __future__ import annotations

import weakref
from collections import Counter

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from backend.models.copy_stream import CopyStream
from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.networks.lora import Dropouts, create_lora
from tests.models.hunyuan_video.swapping_model import add_network, all_equal, inputs, train


class OtherMemory(CopyStream):
    """Keeps tensors in other memory than they come from, as with a device of its own memory."""

    def __init__(self):
        super().__init__(torch.device("cpu"))
        self.kept = []

    def to_cpu(self, tensor):
        self.kept.append(tensor.clone())
        return self.kept[-1], None


def checkpointed(model, copies=None):
    model.gradient_checkpointing, model.input_copies = True, copies
    return model


@pytest.mark.parametrize("copies", [OtherMemory(), CopyStream(torch.device("cpu"))])
def test_inputs_in_cpu_memory_change_no_bit_of_predictions_and_gradients(model, weights_file, copies):
    expected = train(model, add_network(model))
    other = checkpointed(load_transformer(weights_file), copies)
    assert all_equal(train(other, add_network(other)), expected)


@pytest.mark.parametrize("copies", [None, OtherMemory()])
def test_the_second_computation_drops_what_the_first_dropped(weights_file, copies):
    results = []
    for checkpointing in (False, True):
        model = load_transformer(weights_file)
        if checkpointing:
            checkpointed(model, copies)
        names = [f"single_blocks.{index}.linear1" for index in range(6)]
        network = create_lora(model, names, rank=4, dropouts=Dropouts(neuron=0.5, rank=0.2)).train()
        for layer in network.layers.values():
            torch.nn.init.constant_(layer.lora_down.weight, 0.1)
            torch.nn.init.constant_(layer.lora_up.weight, 0.1)
        torch.manual_seed(3)
        results.append(train(model, network, steps=1))
    assert all_equal(*results)


def test_between_the_passes_only_the_copies_are_left_of_the_inputs(model):
    copies = OtherMemory()
    checkpointed(model, copies)
    add_network(model)
    given = []
    for block in (*model.double_blocks, *model.single_blocks):
        block.register_forward_pre_hook(
            lambda module, arguments: given.extend(weakref.ref(tensor) for tensor in arguments if _is_tokens(tensor))
        )
    prediction = model(**inputs())
    assert len(given) == len(copies.kept) == 2 * 3 + 6
    assert [reference for reference in given if reference() is not None] == []
    prediction.mean().backward()


def _is_tokens(argument):
    return isinstance(argument, torch.Tensor) and argument.ndim == 3


BLOCKS = [f"double_blocks.{index}" for index in range(3)] + [f"single_blocks.{index}" for index in range(6)]


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("trained", ["double_blocks.1.txt_mlp.fc1", "single_blocks.2", "single_blocks.5.linear2"])
def test_what_comes_before_the_first_trained_block_is_computed_once_and_saves_nothing(model, checkpointing, trained):
    first = next(index for index, name in enumerate(BLOCKS) if trained.startswith(name))
    network = add_network(model, beginning=trained)
    model.gradient_checkpointing = checkpointing
    calls = Counter()
    for name in BLOCKS:
        model.get_submodule(name).register_forward_pre_hook(lambda *_, name=name: calls.update([name]))
    prediction, saved = predict_and_see_what_is_saved(model)
    prediction.mean().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert [calls[name] for name in BLOCKS] == [1] * first + [2 if checkpointing else 1] * (len(BLOCKS) - first)
    savers = {name for name in BLOCKS if any(inner.startswith(name) for inner in saved)}
    assert savers == (set() if checkpointing else set(BLOCKS[first:]))
    assert not any(name.startswith(("img_in", "txt_in", "time_in", "vector_in", "guidance_in")) for name in saved)


def test_in_the_first_trained_block_nothing_is_saved_before_the_first_trained_module(model):
    add_network(model, beginning="single_blocks.5.linear2")
    _, saved = predict_and_see_what_is_saved(model)
    assert "single_blocks.5.linear2.lora_down" in saved
    assert not saved & {f"single_blocks.5.{name}" for name in ("linear1", "q_norm", "k_norm", "modulation.linear")}


def predict_and_see_what_is_saved(model):
    """The prediction, and the names of the modules in which tensors were saved for the backward pass."""
    running, saved = ["transformer"], set()
    for name, module in model.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: running.append(name))
        module.register_forward_hook(lambda *_: running.__delitem__(-1))
    with saved_tensors_hooks(lambda tensor: saved.add(running[-1]) or tensor, lambda tensor: tensor):
        return model(**inputs()), saved


def test_blocks_before_the_first_trained_one_put_nothing_into_cpu_memory(model):
    copies = OtherMemory()
    add_network(checkpointed(model, copies), beginning="single_blocks.4")
    model(**inputs())
    assert len(copies.kept) == 2


def test_without_gradients_nothing_is_put_into_cpu_memory(model):
    copies = OtherMemory()
    add_network(checkpointed(model, copies))
    with torch.no_grad():
        model(**inputs())
    assert copies.kept == []
