"""What pydantic cannot say of an option by itself: texts that must parse, and values that do not go together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from backend.config.file_names import is_file_name
from backend.config.network_args import parse_assignments
from backend.config.options import OptionGroup, describe
from backend.config.resolution import parse_resolution
from backend.config.schema import (
    HuggingFaceOptions,
    LoggingOptions,
    MachineOptions,
    MemoryOptions,
    MetadataOptions,
    ModelOptions,
    NetworkOptions,
    OptimizerOptions,
    SamplingOptions,
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
            case ModelOptions():
                problems += _model_problems(group)
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
                problems += _kind_problems(group)
            case MachineOptions():
                problems += _machine_problems(group)
            case MetadataOptions():
                problems += _resolution_problems(group)
            case HuggingFaceOptions():
                problems += _repository_problems(group)
    problems += _sharding_problems(groups) + _half_precision_problems(groups)
    return problems + _seed_problems(groups) + _sampling_problems(groups) + _resume_problems(groups)


def _seed_problems(groups: Mapping[str, OptionGroup]) -> list[Problem]:
    """Machines draw their random numbers by themselves, from a seed that has to be the same on all."""
    match groups.get("machines"), groups.get("schedule"):
        case MachineOptions(num_machines=count), ScheduleOptions(seed=None) if count > 1:
            hint = "write the same number on every machine"
            return [Problem(f"{count} machines train together, but seed is not given", hint=hint, option="seed")]
    return []


PROMPT_FILE_ENDINGS = (".txt", ".toml", ".json")


def _sampling_problems(groups: Mapping[str, OptionGroup]) -> list[Problem]:
    """Samples need the models that training alone does without."""
    match groups.get("sampling"), groups.get("model"):
        case SamplingOptions(sample_prompts=str(prompts)), ModelOptions() as model:
            needed = ("vae", "text_encoder1", "text_encoder2")
            problems = [
                Problem(f"sample_prompts is given, but {name} is not", "samples need it", name)
                for name in needed
                if getattr(model, name) is None
            ]
            if Path(prompts).suffix.lower() not in PROMPT_FILE_ENDINGS:
                hint = f"wanted a file ending in {', '.join(PROMPT_FILE_ENDINGS)}"
                problems.append(Problem(f"sample_prompts is {prompts}", hint, "sample_prompts"))
            return problems
    return []


def _sharding_problems(groups: Mapping[str, OptionGroup]) -> list[Problem]:
    """What does not go together with base weights that are split over processes."""
    machines, memory = groups.get("machines"), groups.get("memory")
    if not isinstance(machines, MachineOptions) or machines.accelerate_config_file is None:
        return []
    name, problems = "accelerate_config_file", []
    if machines.num_processes < 2:
        problems.append(Problem(f"{name} splits weights, but num_processes is 1", "raise it", "num_processes"))
    for other in ("fp8_base", "fp8_scaled", "blocks_to_swap"):
        if memory is not None and getattr(memory, other):
            problems.append(Problem(f"{other} and {name} do not go together", f"take {other} out", other))
    return problems


def _resume_problems(groups: Mapping[str, OptionGroup]) -> list[Problem]:
    match groups.get("huggingface"), groups.get("saving"):
        case HuggingFaceOptions(resume_from_huggingface=True), SavingOptions(resume=None):
            hint = "wanted OWNER/NAME/FOLDER in resume"
            return [Problem("resume_from_huggingface is on, but resume is not given", hint, "resume")]
    return []


def _model_problems(model: ModelOptions) -> list[Problem]:
    problems = []
    if model.dit_in_channels not in (None, 16, 32):
        message = f"dit_in_channels is {model.dit_in_channels}"
        problems.append(Problem(message, "wanted 16, or 32 for models that continue a picture", "dit_in_channels"))
    tile = model.vae_spatial_tile_sample_min_size
    if tile is not None and tile % 8:
        message = f"vae_spatial_tile_sample_min_size is {tile}"
        problems.append(Problem(message, "wanted a multiple of 8", "vae_spatial_tile_sample_min_size"))
    return problems


def _resolution_problems(metadata: MetadataOptions) -> list[Problem]:
    try:
        parse_resolution(metadata.metadata_reso or "0")
    except OptionError as error:
        return list(error.problems)
    return []


def _repository_problems(options: HuggingFaceOptions) -> list[Problem]:
    repository = options.huggingface_repo_id
    if repository is None or _is_repository(repository):
        return []
    return [Problem(f"huggingface_repo_id is {repository!r}", "wanted OWNER/NAME", "huggingface_repo_id")]


def _is_repository(text: str) -> bool:
    parts = text.split("/")
    return len(parts) == 2 and all(re.fullmatch(r"[\w.-]+", part) for part in parts)


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


def _kind_problems(network: NetworkOptions) -> list[Problem]:
    """What LoHa and LoKr do not have."""
    problems, kind = [], network.network_module
    if kind != "networks.lora" and network.loraplus_lr_ratio is not None:
        message = f"loraplus_lr_ratio is {network.loraplus_lr_ratio:g}, but {kind} has no up matrices"
        problems.append(Problem(message, hint="leave it empty, or choose networks.lora", option="loraplus_lr_ratio"))
    if kind != "networks.lora" and network.network_dropout:
        message = f"network_dropout is {network.network_dropout:g}, but {kind} has nothing between its matrices to drop"
        hint = "use rank_dropout or module_dropout in its place, or choose networks.lora"
        problems.append(Problem(message, hint=hint, option="network_dropout"))
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
