"""How much memory a training will need on each device, by what takes it; a forecast, made without loading anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from backend.config.schema import MemoryOptions
from backend.plan.activations import Precision, Tokens, activation_bytes, learning_blocks
from backend.plan.adapters import AdapterSize
from backend.plan.block_swap import BlockSwap
from backend.plan.modules import TransformerShape, block_linears
from backend.plan.weight_sizes import linear_weights, weight_bytes

FLOAT32 = 4
NUMBER_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}
COMPUTED_IN = {"no": "float32", "fp16": "float16", "bf16": "bfloat16"}

TEXT_TOKENS = 256
"""What a caption is taken for: the longest there can be. Beside an image's thousands of tokens it hardly counts."""

RESERVE = round(0.8 * 2**30)
"""What CUDA itself, its libraries' workspaces, and gaps between tensors take on a GPU."""

OPTIMIZER_BYTES = {
    "adamw": 8,
    "adam": 8,
    "adamw8bit": 2,
    "pagedadamw8bit": 2,
    "lion": 4,
    "lion8bit": 1,
    "prodigy": 16,
    "sgd": 0,
    "adamwschedulefree": 8,
    "radamschedulefree": 8,
}
"""Bytes of state for each trained number; of an optimizer that is not here as many as AdamW's are taken."""


@dataclass(frozen=True)
class MemoryForecast:
    """Bytes of one device at the highest point of a step, by what takes them.

    reserve: of CUDA itself, 0 without a GPU. in_cpu_memory: beside them, swapped blocks and blocks' inputs. tokens: of
    the largest micro-batch.
    """

    weights: int
    network: int
    gradients: int
    optimizer: int
    activations: int
    reserve: int
    in_cpu_memory: int
    tokens: int

    @property
    def total(self) -> int:
        return self.reserve + self.allocated

    @property
    def allocated(self) -> int:
        """What torch itself will say that it had allocated."""
        return self.weights + self.network + self.gradients + self.optimizer + self.activations


def forecast_memory(
    memory: MemoryOptions,
    *,
    shape: TransformerShape,
    sizes: Mapping[str, AdapterSize],
    tokens: Tokens,
    optimizer: str = "adamw",
    dit_dtype: str | None = None,
    processes: int = 1,
    split_over: int = 1,
    on_gpu: bool = True,
) -> MemoryForecast:
    """The forecast for one process.

    sizes: of the network on each trained Linear. tokens: of the largest micro-batch. split_over: processes that share
    the base weights. on_gpu: the device is a GPU, which needs memory for itself. Raises OptionError for more swapped
    blocks than there are.
    """
    stored = NUMBER_BYTES[dit_dtype or COMPUTED_IN[memory.mixed_precision]]
    autocast = memory.mixed_precision != "no"
    precision = Precision(2 if autocast else stored, autocast)
    float8 = memory.fp8_base or memory.fp8_scaled
    weights = weight_bytes(shape, number_bytes=stored, float8=float8, scaled=memory.fp8_scaled, swap=_swap(memory))
    on_device = weights.on_device
    if split_over > 1:
        on_device = on_device // split_over + weights.largest
    activations = activation_bytes(
        shape,
        sizes,
        tokens=tokens,
        rank=max((size.rank for size in sizes.values()), default=0),
        precision=precision,
        checkpointing=memory.gradient_checkpointing,
        inputs_in_cpu_memory=memory.gradient_checkpointing_cpu_offload,
    )
    cast = _cast_weights(shape, sizes, stored=stored, precision=precision, memory=memory, float8=float8)
    parameters = sum(size.parameters for size in sizes.values())
    copies = 2 if processes > 1 else 1  # several processes exchange gradients in buckets of their own
    return MemoryForecast(
        weights=on_device,
        network=FLOAT32 * parameters,
        gradients=FLOAT32 * parameters * copies,
        optimizer=optimizer_bytes(optimizer, sizes.values()),
        activations=activations.kept + activations.passing + cast,
        reserve=RESERVE if on_gpu else 0,
        in_cpu_memory=weights.in_cpu_memory + activations.in_cpu_memory,
        tokens=tokens.all,
    )


def optimizer_bytes(name: str, sizes: Iterable[AdapterSize]) -> int:
    """Bytes of an optimizer's state. name: as the option has it, "torch.optim.SGD" as well as "adamw8bit"."""
    short = name.rpartition(".")[2].lower()
    if short == "adafactor":  # a number for each row and each column
        return FLOAT32 * sum(sum(shape) for size in sizes for shape in size.shapes.values())
    return OPTIMIZER_BYTES.get(short, OPTIMIZER_BYTES["adamw"]) * sum(size.parameters for size in sizes)


def is_known_optimizer(name: str) -> bool:
    """Whether its state is known, or only taken for AdamW's."""
    short = name.rpartition(".")[2].lower()
    return short == "adafactor" or short in OPTIMIZER_BYTES


def _swap(memory: MemoryOptions) -> BlockSwap | None:
    if not memory.blocks_to_swap:
        return None
    return BlockSwap(
        memory.blocks_to_swap, slots=memory.block_swap_ring_size, embedders=memory.img_in_txt_in_offloading
    )


def _cast_weights(
    shape: TransformerShape,
    trained: Collection[str],
    *,
    stored: int,
    precision: Precision,
    memory: MemoryOptions,
    float8: bool,
) -> int:
    """Copies of weights in the type that is computed in, where they are stored in another.

    From 8 bits one Linear at a time is widened. Of others autograd keeps the copies until the backward pass; with
    checkpointing only those of one block.
    """
    if float8:
        return precision.number_bytes * max(one.in_features * one.out_features for one in block_linears(shape))
    if stored == precision.number_bytes:
        return 0
    blocks = learning_blocks(shape, trained)
    kept = [linear_weights(shape, [name]) for name in blocks]
    return precision.number_bytes * (max(kept, default=0) if memory.gradient_checkpointing else sum(kept))
