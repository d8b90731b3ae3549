"""What of a run's settings would help against a failure: options and values for a button that changes the form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backend.config.toml_file import read_values
from backend.errors import UserError
from backend.runs.folder import RunFolder

Values = Mapping[str, Any]

WITHOUT_LIBRARY: Mapping[str, tuple[str, Any]] = {
    "bitsandbytes": ("optimizer_type", "adamw"),
    "lion_pytorch": ("optimizer_type", "adamw"),
    "prodigyopt": ("optimizer_type", "adamw"),
    "schedulefree": ("optimizer_type", "adamw"),
    "flash_attn": ("flash_attn", False),
    "xformers": ("xformers", False),
    "wandb": ("log_with", "tensorboard"),
    "triton": ("compile", False),
}
"""For a library: the option that asks for it, and the value that does without."""

LOWER_RATE = 0.1
FEW_BLOCKS, MANY_BLOCKS = 20, 36


def changes_for(identity: str, parameters: Mapping[str, Any], run: RunFolder) -> dict[str, Any]:
    """The options to change, one step at a time; {} where none is known, or all was tried."""
    job = run.job()
    try:
        values, _ = read_values(run.config_file)
    except (UserError, OSError):
        return {}
    if identity == "missing_package":
        option, value = WITHOUT_LIBRARY.get(parameters["package"], ("", None))
        return {option: value} if option else {}
    if job is not None and job.kind != "train" and identity == "gpu_out_of_memory":
        return _less_gpu_memory_for_caching(job.kind, values)
    find = _CHANGES.get(identity)
    return find(values) if find else {}


def _less_gpu_memory(values: Values) -> dict[str, Any]:
    """The next means against a full GPU, the cheapest in time first."""
    if not values.get("gradient_checkpointing"):
        return {"gradient_checkpointing": True}
    swapped = values.get("blocks_to_swap") or 0
    for blocks in (FEW_BLOCKS, MANY_BLOCKS):
        if swapped < blocks:
            return {"blocks_to_swap": blocks}
    if not (values.get("fp8_base") or values.get("fp8_scaled")):
        return {"fp8_scaled": True}
    return {}


def _less_gpu_memory_for_caching(kind: str, values: Values) -> dict[str, Any]:
    if values.get("batch_size") != 1:
        return {"batch_size": 1}
    if kind == "cache_latents" and not values.get("vae_tiling"):
        return {"vae_tiling": True}
    if kind == "cache_text_encoder_outputs" and not values.get("fp8_llm"):
        return {"fp8_llm": True}
    return {}


def _less_main_memory(values: Values) -> dict[str, Any]:
    if values.get("max_data_loader_n_workers", 8) > 1:
        return {"max_data_loader_n_workers": 1}
    if values.get("blocks_to_swap"):
        return {"blocks_to_swap": 0}
    return {}


def _calmer_training(values: Values) -> dict[str, Any]:
    slower = {"learning_rate": float(f"{values.get('learning_rate', 2e-4) * LOWER_RATE:.6g}")}
    return {"mixed_precision": "bf16"} if values.get("mixed_precision") == "fp16" else slower


_CHANGES: Mapping[str, Callable[[Values], dict[str, Any]]] = {
    "gpu_out_of_memory": _less_gpu_memory,
    "host_out_of_memory": _less_main_memory,
    "killed_for_memory": _less_main_memory,
    "killed": _less_main_memory,
    "loss_not_finite": _calmer_training,
    "port_taken": lambda _values: {"main_process_port": None},
}
