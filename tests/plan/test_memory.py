"""The forecast of memory: its parts by hand, and its activations against what torch keeps."""

from __future__ import annotations

import pytest
import torch

from backend.config.schema import MemoryOptions, NetworkOptions
from backend.errors import OptionError
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.plan.activations import Tokens, learning_blocks
from backend.plan.adapters import adapter_sizes
from backend.plan.memory import RESERVE, forecast_memory, is_known_optimizer, optimizer_bytes
from backend.plan.modules import TransformerShape, block_linears
from backend.plan.selection import select_modules, trained_modules
from backend.plan.weight_sizes import weight_numbers
from benchmarks.memory import counted_peak, forecast

FULL = TransformerShape.full_size()
MIDDLE = TransformerShape(512, 4, 2, 4, 2048, in_channels=16, text_width=256, pooled_width=64)
PICTURE = Tokens(image=34 * 60, text=256)
CLIP = Tokens(image=9 * 34 * 60, text=256)
GIB = 2**30


def trained_names(shape, exclude=(), include=()):
    linears = block_linears(shape)
    chosen = trained_modules(select_modules(linears, exclude_patterns=list(exclude), include_patterns=list(include)))
    return [module.name for module in chosen]


def sizes(shape=FULL, **options):
    wanted = set(trained_names(shape))
    return adapter_sizes(NetworkOptions(**options), [one for one in block_linears(shape) if one.name in wanted])


def forecast_of(tokens=PICTURE, optimizer="adamw", dit_dtype=None, rank=32, **memory):
    return forecast_memory(
        MemoryOptions(**memory),
        shape=FULL,
        sizes=sizes(network_dim=rank),
        tokens=tokens,
        optimizer=optimizer,
        dit_dtype=dit_dtype,
    )


@pytest.mark.parametrize("shape", [FULL, TransformerShape(64, 2, 2, 5, 128, 32, 32, 24)])
def test_the_numbers_of_each_part_are_those_of_the_real_model(shape):
    with torch.device("meta"):
        model = HunyuanVideoTransformer(shape)
    parts = weight_numbers(shape)
    for name in parts.keys() - {"rest"}:
        real = sum(parameter.numel() for parameter in model.get_submodule(name).parameters())
        assert parts[name].linear + parts[name].other == real
    assert sum(one.linear + one.other for one in parts.values()) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(("exclude", "include"), [((), ()), ([".*"], [".*attn.*"])])
@pytest.mark.parametrize(("dtype", "autocast"), [(torch.bfloat16, True), (torch.float32, False)])
def test_the_activations_are_within_a_tenth_of_what_torch_keeps(dtype, autocast, exclude, include, checkpointing):
    trained = trained_names(MIDDLE, exclude, include)
    case = {"latents": (3, 32, 48), "text": 64, "rank": 16, "dtype": dtype}
    case |= {"autocast": autocast, "checkpointing": checkpointing}
    real, said = counted_peak(MIDDLE, trained, **case), forecast(MIDDLE, trained, **case)
    assert said.kept + said.passing == pytest.approx(real, rel=0.1)


def test_weights_take_what_their_type_takes():
    assert forecast_of().weights == 12_821_012_544 * 2
    assert forecast_of(dit_dtype="float32", mixed_precision="no").weights == 12_821_012_544 * 4
    plain, scaled = forecast_of(fp8_base=True), forecast_of(fp8_scaled=True)
    assert plain.weights / GIB == pytest.approx(12.28, abs=0.1)
    assert scaled.weights / plain.weights == pytest.approx(1.0625, abs=0.005)  # a scale of 4 bytes for every 64


def test_swapped_blocks_lie_in_cpu_memory_but_for_their_places():
    none, swapped = forecast_of(), forecast_of(blocks_to_swap=20)
    block = 339_831_296 * 2
    assert swapped.in_cpu_memory == 10 * block + 21 * 141_591_808 * 2
    assert swapped.weights == none.weights - swapped.in_cpu_memory + 2 * block
    assert forecast_of(blocks_to_swap=20, block_swap_ring_size=1).weights == swapped.weights - block


def test_too_many_swapped_blocks_are_refused():
    with pytest.raises(OptionError, match="the transformer has 20 and 40"):
        forecast_of(blocks_to_swap=60)


def test_the_network_its_gradients_and_adamw_take_four_numbers_for_each_parameter():
    made = forecast_of()
    assert (made.network, made.gradients, made.optimizer) == (4 * 117_964_800, 4 * 117_964_800, 8 * 117_964_800)


@pytest.mark.parametrize(
    ("name", "bytes_each"),
    [("adamw8bit", 2), ("bitsandbytes.optim.PagedAdamW8bit", 2), ("Lion", 4), ("prodigy", 16), ("my.Own", 8)],
)
def test_an_optimizer_has_the_state_of_its_kind(name, bytes_each):
    network = sizes(network_dim=4)
    assert optimizer_bytes(name, network.values()) == bytes_each * sum(size.parameters for size in network.values())
    assert is_known_optimizer(name) == (name != "my.Own")


def test_without_a_gpu_nothing_is_counted_for_cuda():
    forecasts = [
        forecast_memory(MemoryOptions(), shape=MIDDLE, sizes={}, tokens=PICTURE, on_gpu=on_gpu)
        for on_gpu in (True, False)
    ]
    assert [forecast.reserve for forecast in forecasts] == [RESERVE, 0]
    assert [forecast.total - forecast.allocated for forecast in forecasts] == [RESERVE, 0]


def test_adafactor_keeps_rows_and_columns():
    one = {"single_blocks.0.linear2": sizes(network_dim=4)["single_blocks.0.linear2"]}
    assert optimizer_bytes("adafactor", one.values()) == 4 * (4 + 15_360 + 3_072 + 4)


def test_checkpointing_and_inputs_in_cpu_memory_each_save_memory_with_long_clips():
    all_kept = forecast_of(CLIP).activations
    checkpointed = forecast_of(CLIP, gradient_checkpointing=True).activations
    offloaded = forecast_of(CLIP, gradient_checkpointing=True, gradient_checkpointing_cpu_offload=True).activations
    assert all_kept > 10 * checkpointed
    assert checkpointed - offloaded == 59 * CLIP.all * 3072 * 2


def test_copies_of_float32_weights_are_kept_without_checkpointing():
    stored_wide = forecast_of(dit_dtype="float32")
    assert stored_wide.activations - forecast_of().activations == 2 * (20 * 339_738_624 + 40 * 141_557_760)


def test_blocks_before_the_first_trained_one_keep_nothing():
    assert learning_blocks(FULL, ["single_blocks.38.linear1"]) == ["single_blocks.38", "single_blocks.39"]
    assert learning_blocks(FULL, []) == []
