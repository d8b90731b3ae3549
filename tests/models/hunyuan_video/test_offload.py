"""Weights that lie in CPU memory: what visits the device when, and that nothing else changes."""

from __future__ import annotations

import functools
from itertools import islice

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from backend.models.copy_stream import CopyStream
from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.models.hunyuan_video.compile import compile_blocks
from backend.models.hunyuan_video.offload import WeightRing, cpu_memory, uses_from
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.models.weight_files import place_weights
from backend.plan.block_swap import BlockSwap
from tests.models.hunyuan_video.swapping_model import SHAPE, add_network, all_equal, inputs, train

BLOCKS = [f"{kind}.{index}" for kind, count in (("double_blocks", 3), ("single_blocks", 6)) for index in range(count)]
SWAPPED = ["double_blocks.1", "single_blocks.1", "single_blocks.3", "single_blocks.5"]


class LateCopies(CopyStream):
    """Makes each copy as late as a device may: when somebody waits for it."""

    def __init__(self):
        super().__init__(torch.device("cpu"))
        self.waiting = []

    def copy(self, target, source, *, after):
        self.waiting.append((target, source))
        return len(self.waiting)

    def wait(self, mark):
        for place, pair in enumerate(self.waiting[:mark]):
            if pair is not None:
                pair[0].copy_(pair[1])
                self.waiting[place] = None


class CountedCopies(CopyStream):
    """Remembers how many copies were made."""

    def __init__(self):
        super().__init__(torch.device("cpu"))
        self.count = 0

    def copy(self, target, source, *, after):
        self.count += 1
        return super().copy(target, source, after=after)


class Timeline(CopyStream):
    """Counts what was queued for computing, and sees that nothing is overwritten that is still used."""

    def __init__(self):
        super().__init__(torch.device("cpu"))
        self.now, self.last_use, self.waited = 0, {}, []

    def compute_with(self, module):
        self.now += 1
        self.last_use[module.weight.untyped_storage().data_ptr()] = self.now

    def mark(self):
        return self.now

    def copy(self, target, source, *, after):
        assert self.last_use.get(target.untyped_storage().data_ptr(), 0) <= (after or 0)
        self.waited.append(after == self.now)
        super().copy(target, source, after=after)

    def wait(self, mark):
        assert mark is None


def swap(model, names=SWAPPED, **settings):
    """Put parts of a loaded model into CPU memory; a name or several that come and go together."""
    parts = [[model.get_submodule(name) for name in ([part] if isinstance(part, str) else part)] for part in names]
    model.weight_ring = WeightRing(parts, **settings)
    return model


def test_uses_go_up_then_down_to_the_last_part_that_gradients_pass_then_up_again():
    assert list(uses_from(2, count=5, forward=True, lowest=3)) == [2, 3, 4, 4, 3, 0, 1, 2, 3, 4]
    assert list(uses_from(4, count=5, forward=False, lowest=3)) == [4, 3, 0, 1, 2, 3, 4]
    assert list(uses_from(3, count=4, forward=True, lowest=4)) == [3, 0, 1, 2, 3]
    assert list(islice(uses_from(1, count=4, forward=False, lowest=2), 3)) == [1, 0, 1]


@pytest.mark.parametrize("checkpointing", [True, False])
@pytest.mark.parametrize("slots", [1, 2, 3, 9])
@pytest.mark.parametrize("copies", [LateCopies, CountedCopies])
@pytest.mark.parametrize("beginning", ["", "single_blocks.2", "single_blocks.5.linear2"])
def test_swapped_blocks_change_no_bit_of_predictions_and_gradients(
    weights_file, checkpointing, slots, copies, beginning
):
    expected = trained_without_swapping(weights_file, checkpointing, beginning)
    model = swap(load_transformer(weights_file), slots=slots, copies=copies())
    model.gradient_checkpointing = checkpointing
    assert all_equal(train(model, add_network(model, beginning=beginning)), expected)


@functools.cache
def trained_without_swapping(weights_file, checkpointing, beginning):
    model = load_transformer(weights_file)
    model.gradient_checkpointing = checkpointing
    return train(model, add_network(model, beginning=beginning))


@pytest.mark.parametrize("checkpointing", [True, False])
@pytest.mark.parametrize("float8", ["plain", "scaled"])
def test_blocks_in_8_bits_are_swapped_with_their_scales(weights_file, checkpointing, float8):
    results = []
    for blocks in (0, 4):
        swap = BlockSwap(blocks, embedders=True) if blocks else None
        model = load_transformer(weights_file, float8=float8, swap=swap)
        model.gradient_checkpointing = checkpointing
        results.append(train(model, add_network(model)))
    assert all_equal(*results)


@pytest.mark.parametrize("checkpointing", [True, False])
def test_all_blocks_and_the_embedders_can_be_swapped(model, weights_file, checkpointing):
    expected = train(model, add_network(model))
    swapped = swap(load_transformer(weights_file), [("img_in", "txt_in"), *BLOCKS], slots=2)
    swapped.gradient_checkpointing = checkpointing
    assert all_equal(train(swapped, add_network(swapped)), expected)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("checkpointing", [True, False])
def test_compiled_blocks_are_swapped(weights_file, backend, checkpointing):
    results = []
    for swapped in (False, True):
        model = load_transformer(weights_file)
        model.gradient_checkpointing = checkpointing
        if swapped:
            swap(model, slots=2, copies=LateCopies())
        network = add_network(model)
        compile_blocks([*model.double_blocks, *model.single_blocks], backend=backend)
        results.append(train(model, network))
    assert all_equal(*results)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_predictions_without_gradients_are_the_same_and_leave_training_possible(model, weights_file, mode):
    network = add_network(model)
    with mode():
        expected = model(**inputs())
    trained = train(model, network)
    swapped = swap(load_transformer(weights_file), copies=LateCopies())
    network = add_network(swapped)
    with mode():
        assert all(torch.equal(swapped(**inputs()), expected) for _ in range(3))
    assert all_equal(train(swapped, network), trained)


def test_a_pass_that_failed_leaves_training_possible(model, weights_file):
    expected = train(model, add_network(model))
    swapped = swap(load_transformer(weights_file))
    swapped.gradient_checkpointing = True
    network = add_network(swapped)
    failing = swapped.single_blocks[4].register_forward_pre_hook(_fail)
    with pytest.raises(OverflowError):
        swapped(**inputs())
    failing.remove()
    prediction = swapped(**inputs())
    failing = swapped.single_blocks[2].register_forward_pre_hook(_fail)
    with pytest.raises(OverflowError):
        prediction.mean().backward()
    failing.remove()
    for parameter in network.parameters():
        parameter.grad = None
    assert all_equal(train(swapped, network), expected)


def _fail(module, arguments):
    raise OverflowError


@pytest.mark.parametrize(("beginning", "copies_of_a_step"), [("", 4), ("single_blocks.5", 4), ("single_blocks.3", 4)])
def test_what_is_there_still_is_not_copied_again_nor_what_gradients_do_not_pass(model, beginning, copies_of_a_step):
    """Of four parts two are there: after a forward pass the last two, and after a backward pass the first to come."""
    copies = CountedCopies()
    swap(model, slots=2, copies=copies).gradient_checkpointing = True
    network = add_network(model, beginning=beginning)
    train(model, network, steps=2)
    before = copies.count
    train(model, network, steps=3)
    assert copies.count - before == 3 * copies_of_a_step


def test_with_as_many_slots_as_parts_nothing_is_copied_after_the_first_pass(model):
    copies = CountedCopies()
    swap(model, slots=4, copies=copies)
    train(model, add_network(model))
    assert copies.count == 4


def test_swapped_weights_are_read_into_cpu_memory_and_never_onto_the_device_first(weights_file):
    """On the device "meta" nothing is kept of what comes there."""
    with torch.device("meta"):
        model = HunyuanVideoTransformer(SHAPE)
    place_weights(model, load_file(weights_file), device="meta", dtype=None, in_cpu_memory=("double_blocks.1.",))
    found, expected = model.double_blocks[1], load_transformer(weights_file).double_blocks[1]
    assert all_equal(list(found.parameters()), list(expected.parameters()))
    others = [parameter for name, parameter in model.named_parameters() if not name.startswith("double_blocks.1.")]
    assert {parameter.device.type for parameter in others} == {"meta"}


def test_the_summary_tells_how_much_lies_where():
    assert WeightRing().summary() == ""
    linears = [nn.Linear(1024, size, bias=False).requires_grad_(False) for size in (1024, 2048, 2048)]
    ring = WeightRing([[linear] for linear in linears])
    assert ring.summary() == "3 parts in 0.02 GiB of CPU memory, 2 places of 0.01 GiB on the device"


def test_a_loaded_model_has_its_swapped_parts_in_cpu_memory(weights_file):
    settings = BlockSwap(2, embedders=True)
    assert settings.parts(SHAPE) == [("img_in", "txt_in"), *((name,) for name in SWAPPED)]
    model = load_transformer(weights_file, swap=settings)
    expected = load_transformer(weights_file)
    for part, kept in zip(settings.parts(SHAPE), model.weight_ring.in_cpu_memory(), strict=True):
        assert all_equal(kept, [tensor for name in part for tensor in expected.get_submodule(name).parameters()])


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_a_slot_is_overwritten_after_its_last_use_and_while_another_is_used(slots):
    linears = [nn.Linear(4, 4).requires_grad_(False) for _ in range(5)]
    time = Timeline()
    ring = WeightRing([[linear] for linear in linears], slots=slots, copies=time)
    for _ in range(3):
        with ring.forward_pass():
            for linear in linears:
                with ring.visit(linear, again=linear is not linears[0]):
                    time.compute_with(linear)
        for linear in reversed(linears[1:]):
            with ring.visit(linear):
                time.compute_with(linear)  # again
            time.compute_with(linear)  # backward
    if slots > 1:
        assert not any(time.waited[slots:])  # a copy waits for what was computed before the current part alone
    else:
        assert all(time.waited[1:])


def test_trained_weights_are_not_swapped(model):
    add_network(model)
    with pytest.raises(ValueError, match="weights that are trained cannot lie in CPU memory"):
        swap(model)


def test_memory_of_its_own_pages_is_as_large_as_asked():
    memory = cpu_memory(5000)
    assert memory.shape == (5000,) and memory.data_ptr() % 4096 == 0


def test_parts_of_different_sizes_share_the_slots():
    small, large = nn.Linear(3, 5).requires_grad_(False), nn.Linear(40, 50).requires_grad_(False)
    x, y = torch.randn(2, 3), torch.randn(2, 40)
    expected = small(x), large(y)
    ring = WeightRing([[small], [large]], slots=1)
    for _ in range(2):
        with ring.visit(small):
            assert torch.equal(small(x), expected[0])
        with ring.visit(large):
            assert torch.equal(large(y), expected[1])
    assert small.weight.untyped_storage().data_ptr() == large.weight.untyped_storage().data_ptr()


@pytest.fixture
def one_process(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_processes_exchange_gradients_and_not_what_is_swapped(model, weights_file, one_process):
    expected = train(model, add_network(model))
    swapped = swap(load_transformer(weights_file), copies=LateCopies())
    swapped.gradient_checkpointing = True
    network = add_network(swapped)
    frozen = [name for name, parameter in swapped.named_parameters() if not parameter.requires_grad]
    swapped._ddp_params_and_buffers_to_ignore = frozen
    assert all_equal(train(DistributedDataParallel(swapped), network), expected)
