"""The model of a training: the frozen transformer with what is merged into it, and the network that is trained."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import zip_longest
from pathlib import Path

import torch

from backend.commands.device import attention_kernel
from backend.config.configuration import Configuration
from backend.config.schema import MemoryOptions, NetworkOptions
from backend.errors import OptionError, Problem
from backend.models.copy_stream import CopyStream
from backend.models.hunyuan_video.checkpoint import load_transformer
from backend.models.hunyuan_video.compile import compile_blocks
from backend.models.hunyuan_video.transformer import HunyuanVideoTransformer
from backend.networks.adapter import Dropouts
from backend.networks.kinds import ADAPTERS
from backend.networks.merge import MergedLoRA
from backend.networks.network import Network, attach_network
from backend.networks.weights import read_lora_weights, sizes_of
from backend.plan.adapters import adapter_sizes
from backend.plan.block_swap import BlockSwap
from backend.plan.modules import LinearModule, block_linears, check_in_channels
from backend.plan.selection import ModuleState, select_modules, trained_modules

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
COMPUTED_IN = {"no": "float32", "fp16": "float16", "bf16": "bfloat16"}
"""The dtype that each mixed precision computes in; weights in it need not be converted for each product."""


def load_trained_model(
    configuration: Configuration, *, device: torch.device, seed: int, in_main_memory: bool = False
) -> tuple[HunyuanVideoTransformer, Network]:
    """The frozen transformer and the network on it, ready to be trained on the device.

    in_main_memory: the transformer stays there, for its weights are to be split over several devices.
    """
    transformer = load_model(configuration, device=torch.device("cpu") if in_main_memory else device)
    check_in_channels(transformer.shape, configuration.model.dit_in_channels, path=Path(configuration.model.dit or ""))
    network = create_network(configuration, transformer, seed=seed)
    compile_model(configuration, transformer)
    if in_main_memory:
        network.to(device)
    return transformer, network


def load_model(configuration: Configuration, *, device: torch.device) -> HunyuanVideoTransformer:
    """The frozen transformer on its device, in the dtype that the options ask for, with base_weights merged.

    What the options swap, or keep between the passes, lies in CPU memory.
    """
    if configuration.model.dit is None:
        raise OptionError("no transformer is chosen", hint="name its weights file", option="dit")
    memory = configuration.memory
    merges = [_read_merge(path, strength) for path, strength in _base_weights(configuration.network)]
    transformer = load_transformer(
        Path(configuration.model.dit),
        device=device,
        dtype=DTYPES[configuration.model.dit_dtype or COMPUTED_IN[memory.mixed_precision]],
        merge=lambda name, weight: reduce(lambda so_far, merge: merge(name, so_far), merges, weight),
        float8="scaled" if memory.fp8_scaled else "plain" if memory.fp8_base else None,
        swap=block_swap(memory),
    )
    for (path, strength), merge in zip(_base_weights(configuration.network), merges, strict=True):
        _print_problems(path, merge.unused(block_linears(transformer.shape)))
        print(f"merged {path}, strength {strength:g}")
    apply_memory_options(memory, transformer, device=device)
    return transformer


def apply_memory_options(memory: MemoryOptions, transformer: HunyuanVideoTransformer, *, device: torch.device) -> None:
    """Set what a loaded transformer keeps between the passes, and how it attends."""
    transformer.gradient_checkpointing = memory.gradient_checkpointing
    if memory.gradient_checkpointing_cpu_offload:
        transformer.input_copies = CopyStream(device)
    transformer.use_attention(attention_kernel(memory))


def block_swap(memory: MemoryOptions) -> BlockSwap | None:
    """What the options keep in CPU memory, None for nothing."""
    if not memory.blocks_to_swap:
        return None
    return BlockSwap(
        memory.blocks_to_swap,
        slots=memory.block_swap_ring_size,
        pinned=memory.use_pinned_memory_for_block_swap,
        embedders=memory.img_in_txt_in_offloading,
    )


def compile_model(configuration: Configuration, transformer: HunyuanVideoTransformer) -> None:
    """Have the blocks compiled when they first run, where the options ask for it."""
    memory = configuration.memory
    if memory.compile:
        compile_blocks(
            [*transformer.double_blocks, *transformer.single_blocks],
            backend=memory.compile_backend,
            mode=memory.compile_mode,
            dynamic={"true": True, "false": False}.get(memory.compile_dynamic),
            fullgraph=memory.compile_fullgraph,
            cache_size_limit=memory.compile_cache_size_limit,
        )


def create_network(configuration: Configuration, transformer: HunyuanVideoTransformer, *, seed: int) -> Network:
    """The network on the modules that the patterns select, or the start weights have; its start drawn from the seed."""
    options, linears = configuration.network, block_linears(transformer.shape)
    weights = read_lora_weights(Path(options.network_weights)) if options.network_weights else {}
    if options.dim_from_weights:
        sizes = sizes_of(weights, linears)
    else:
        sizes = adapter_sizes(options, _selected_modules(options, linears))
    network = attach_network(
        transformer,
        sizes,
        adapter=ADAPTERS[options.network_module],
        dropouts=Dropouts(options.network_dropout or 0, options.rank_dropout or 0, options.module_dropout or 0),
        generator=torch.Generator().manual_seed(seed),
    )
    if weights:
        _print_problems(options.network_weights or "", network.load_state_dict(weights))
    return network


def _selected_modules(options: NetworkOptions, linears: Sequence[LinearModule]) -> list[LinearModule]:
    decisions = select_modules(
        linears, exclude_patterns=options.exclude_patterns, include_patterns=options.include_patterns
    )
    if options.verbose:
        for decision in decisions:
            mark = "+" if decision.state is ModuleState.TRAINED else "-"
            print(f"{mark} {decision.module.name} ({decision.pattern or 'no pattern'})")
    return trained_modules(decisions)


def _base_weights(options: NetworkOptions) -> list[tuple[str, float]]:
    """The files of base_weights with their strengths, 1 where none is given."""
    return list(zip_longest(options.base_weights, options.base_weights_multiplier, fillvalue=1.0))


def _read_merge(path: str, strength: float) -> MergedLoRA:
    return MergedLoRA(read_lora_weights(Path(path)), strength)


def _print_problems(path: str, problems: list[Problem]) -> None:
    for problem in problems:
        print(f"{problem.severity}: {path}: {problem}", flush=True)
