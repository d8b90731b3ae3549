"""What pydantic cannot say of an option by itself: texts that must parse, and values that do not go together."""

from __future__ import annotations

from collections.abc import Mapping

from backend.config.file_names import is_file_name
from backend.config.network_args import parse_assignments
from backend.config.options import OptionGroup, describe
from backend.config.schema import (
    LoggingOptions,
    MachineOptions,
    MemoryOptions,
    ModelOptions,
    NetworkOptions,
    OptimizerOptions,
    SavingOptions,
    ScheduleOptions,
    TimestepOptions,
)
from backend.errors import OptionError, Problem


def find_conflicts(groups: Mapping[str, OptionGroup]) -> list[Problem]:
    """The problems of groups that are right by themselves; a group that is not is left out of `groups`."""
    problems: list[Problem] = []
    for group in groups.values():
        match group:
            case OptimizerOptions():
                problems += _assignment_problems(group.optimizer_args, "optimizer_args")
            case MemoryOptions():
                problems += _memory_problems(group)
            case SavingOptions():
                problems += _file_name_problems(group, "output_name")
            case LoggingOptions():
                problems += _file_name_problems(group, "log_tracker_name")
                problems += _file_name_problems(group, "log_prefix", followed_by="20261122140000")
            case ScheduleOptions():
                problems += _assignment_problems(group.lr_scheduler_args, "lr_scheduler_args")
            case TimestepOptions():
                problems += _range_problems(group)
            case NetworkOptions():
                problems += _weights_problems(group)
            case MachineOptions():
                problems += _machine_problems(group)
    return problems + _seed_problems(groups) + _half_precision_problems(groups)


def _seed_problems(groups: Mapping[str, OptionGroup]) -> list[Problem]:
    """Machines draw their random numbers by themselves, from a seed that has to be the same on all."""
    match groups.get("machines"), groups.get("schedule"):
        case MachineOptions(num_machines=count), ScheduleOptions(seed=None) if count > 1:
            hint = "write the same number on every machine"
            return [Problem(f"{count} machines train together, but seed is not given", hint=hint, option="seed")]
    return []


def _assignment_problems(strings: list[str], option: str) -> list[Problem]:
    try:
        parse_assignments(strings, option=option)
    except OptionError as error:
        return list(error.problems)
    return []


def _range_problems(timesteps: TimestepOptions) -> list[Problem]:
    low = timesteps.min_timestep or 0
    high = 1000 if timesteps.max_timestep is None else timesteps.max_timestep
    if low < high:
        return []
    message = f"min_timestep is {low}, but has to be below max_timestep, which is {high}"
    return [Problem(message, hint="lower the one or raise the other", option="min_timestep")]


def _weights_problems(network: NetworkOptions) -> list[Problem]:
    problems = []
    if network.dim_from_weights and not network.network_weights:
        message = "dim_from_weights is on, but there are no start weights (network_weights)"
        problems.append(Problem(message, hint="name a LoRA file, or switch it off", option="dim_from_weights"))
    files, multipliers = len(network.base_weights), len(network.base_weights_multiplier)
    if multipliers > files:
        message = f"base_weights_multiplier has {multipliers} numbers for {files} files of base_weights"
        problems.append(Problem(message, hint="take the others out", option="base_weights_multiplier"))
    return problems


def _machine_problems(machines: MachineOptions) -> list[Problem]:
    problems = []
    if machines.machine_rank >= machines.num_machines:
        message = f"machine_rank is {machines.machine_rank}, but there are {machines.num_machines} machines"
        problems.append(Problem(message, hint="machines count from 0", option="machine_rank"))
    if machines.num_machines > 1 and not machines.main_process_ip:
        message = f"there are {machines.num_machines} machines, but main_process_ip is not given"
        problems.append(Problem(message, hint="name the address of machine 0", option="main_process_ip"))
    if machines.num_processes < machines.num_machines:
        message = f"{machines.num_processes} processes on {machines.num_machines} machines"
        problems.append(Problem(message, hint="wanted at least one on each (num_processes)", option="num_processes"))
    return problems


def _memory_problems(memory: MemoryOptions) -> list[Problem]:
    problems = _attention_problems(memory) + _swap_problems(memory) + _compile_problems(memory)
    if memory.fp8_base and memory.fp8_scaled:
        hint = "switch fp8_base off; fp8_scaled takes as much memory"
        problems.append(Problem("both fp8_base and fp8_scaled are on", hint=hint, option="fp8_base"))
    if memory.gradient_checkpointing_cpu_offload and not memory.gradient_checkpointing:
        message = "gradient_checkpointing_cpu_offload is on, but gradient_checkpointing is not"
        hint = "switch gradient_checkpointing on"
        problems.append(Problem(message, hint=hint, option="gradient_checkpointing_cpu_offload"))
    return problems


def _attention_problems(memory: MemoryOptions) -> list[Problem]:
    chosen = [name for name in ("sdpa", "flash_attn", "xformers") if getattr(memory, name)]
    if not chosen:
        hint = "switch SDPA attention (sdpa) on"
        return [Problem("no attention backend is chosen", hint=hint, option="sdpa")]
    if len(chosen) > 1:
        message = f"{len(chosen)} attention backends are chosen: {', '.join(chosen)}"
        return [Problem(message, hint=f"switch all but one off, such as {chosen[0]}", option=chosen[0])]
    return []


def _swap_problems(memory: MemoryOptions) -> list[Problem]:
    if not memory.blocks_to_swap:
        if not memory.img_in_txt_in_offloading:
            return []
        message = "img_in_txt_in_offloading is on, but no blocks are swapped, whose places the embedders would use"
        hint = "set blocks_to_swap, or switch it off"
        return [Problem(message, hint=hint, option="img_in_txt_in_offloading")]
    captures = memory.compile_backend == "cudagraphs" or memory.compile_mode in ("reduce-overhead", "max-autotune")
    if memory.compile and captures:
        message = "CUDA graphs need weights that stay where they are, but blocks_to_swap moves them"
        hint = "choose the compile_mode default or max-autotune-no-cudagraphs with the compile_backend inductor"
        return [Problem(message, hint=hint, option="compile_mode")]
    if memory.dynamo_backend != "NO":
        message = "dynamo_backend compiles the whole transformer, but blocks_to_swap moves its weights meanwhile"
        return [Problem(message, hint="use compile in its place", option="dynamo_backend")]
    return []


def _compile_problems(memory: MemoryOptions) -> list[Problem]:
    problems = []
    if memory.compile and memory.dynamo_backend != "NO":
        message = "both compile and dynamo_backend are given, which would compile twice"
        problems.append(Problem(message, hint="set dynamo_backend to NO", option="dynamo_backend"))
    if memory.compile and memory.compile_backend != "inductor" and memory.compile_mode != "default":
        message = f"compile_mode is {memory.compile_mode}, which only the compile_backend inductor knows"
        problems.append(Problem(message, hint="choose default", option="compile_mode"))
    if memory.dynamo_backend not in ("NO", "INDUCTOR") and memory.dynamo_mode != "default":
        message = f"dynamo_mode is {memory.dynamo_mode}, which only the dynamo_backend INDUCTOR knows"
        problems.append(Problem(message, hint="choose default", option="dynamo_mode"))
    return problems


def _half_precision_problems(groups: Mapping[str, OptionGroup]) -> list[Problem]:
    """FlashAttention computes in 16 bits only."""
    match groups.get("memory"), groups.get("model"):
        case MemoryOptions(flash_attn=True, mixed_precision="no"), ModelOptions(dit_dtype=None | "float32"):
            message = "flash_attn computes in fp16 or bf16 only, but mixed_precision is no"
            return [Problem(message, hint="set mixed_precision to bf16", option="mixed_precision")]
    return []


def _file_name_problems(group: OptionGroup, name: str, *, followed_by: str = "") -> list[Problem]:
    text = getattr(group, name)
    if text is None or is_file_name(text + followed_by):
        return []
    label = describe(type(group), name).label
    hint = "wanted a file name that every system takes, without folder and ending"
    return [Problem(f"{label} ({name}) is {text!r}", hint=hint, option=name)]
