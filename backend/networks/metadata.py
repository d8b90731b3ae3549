"""What a LoRA file tells about its training: the ss_ and modelspec keys that other tools read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from backend.config.resolution import parse_resolution


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """The facts of a run, one field for each `ss_<field>` key; None is written as "None".

    Numbers are written as str() gives them, so 4 and 4.0 differ. Three fields are written in a form of their own:
    datasets as JSON, one object for each dataset; network_args (the raw strings) as JSON and vae_name only if given.
    """

    session_id: int
    training_started_at: float
    output_name: str
    learning_rate: float
    num_train_items: int
    num_batches_per_epoch: int
    num_epochs: int
    gradient_checkpointing: bool
    gradient_checkpointing_cpu_offload: bool
    gradient_accumulation_steps: int
    max_train_steps: int
    lr_warmup_steps: int | float
    lr_scheduler: str
    base_model_version: str
    network_module: str
    network_dim: int | None
    network_alpha: int | float | None
    network_dropout: float | None
    mixed_precision: str
    seed: int
    training_comment: str | None
    optimizer: str
    max_grad_norm: float
    fp8_base: bool
    weighting_scheme: str
    logit_mean: float
    logit_std: float
    mode_scale: float
    guidance_scale: float
    timestep_sampling: str
    sigmoid_scale: float
    discrete_flow_shift: float
    sd_model_name: str
    datasets: Sequence[Mapping[str, Any]]
    network_args: Mapping[str, str] | None = None
    vae_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What a user wants written into the modelspec keys; None leaves a key out or to its default.

    title: output_name by default. architecture: "hunyuan-video". resolution: "1280,720", or one number for a square.
    min_timestep, max_timestep: the range that was trained; 0 and 1000 where only the other is given.
    """

    title: str | None = None
    architecture: str | None = None
    resolution: str | None = None
    author: str | None = None
    description: str | None = None
    license: str | None = None
    tags: str | None = None
    min_timestep: int | float | None = None
    max_timestep: int | float | None = None


def build_metadata(
    record: TrainingRecord,
    model_spec: ModelSpec,
    *,
    steps: int,
    epoch: int,
    finished_at: float,
    minimal: bool = False,
) -> dict[str, str]:
    """All metadata of one checkpoint but the hashes, which come with the file.

    steps: optimizer updates so far. finished_at: Unix time of this save, in seconds. minimal: tell nothing of the
    training but what using the file needs. Raises OptionError for a
    resolution that is not one or two whole numbers.
    """
    metadata = {f"ss_{field.name}": str(getattr(record, field.name)) for field in fields(record)}
    metadata["ss_datasets"] = json.dumps(list(record.datasets))
    metadata |= {"ss_full_fp16": "False", "ss_full_bf16": "False"}  # LoRA weights are always float32 in training
    metadata |= {"ss_training_finished_at": str(finished_at), "ss_steps": str(steps), "ss_epoch": str(epoch)}
    del metadata["ss_network_args"]
    if record.network_args is not None:
        metadata["ss_network_args"] = json.dumps(dict(record.network_args))
    if record.vae_name is None:
        del metadata["ss_vae_name"]
    if minimal:
        metadata = {key: metadata[key] for key in _NEEDED_KEYS if key in metadata}
    return metadata | _model_spec_keys(model_spec, title=record.output_name, finished_at=finished_at)


_NEEDED_KEYS = (
    "ss_base_model_version",
    "ss_network_module",
    "ss_network_dim",
    "ss_network_alpha",
    "ss_network_args",
)


def _model_spec_keys(spec: ModelSpec, *, title: str, finished_at: float) -> dict[str, str]:
    keys = {
        "sai_model_spec": "1.0.0",
        "architecture": f"{spec.architecture or 'hunyuan-video'}/lora",
        "implementation": "https://github.com/Tencent/HunyuanVideo",
        "title": spec.title or title or f"LoRA@{finished_at}",
        "resolution": _resolution(spec.resolution),
        "date": datetime.fromtimestamp(int(finished_at)).isoformat(),
    }
    given = {"author": spec.author, "description": spec.description, "license": spec.license, "tags": spec.tags}
    keys |= {name: text for name, text in given.items() if text is not None}
    if spec.min_timestep is not None or spec.max_timestep is not None:
        start = 0 if spec.min_timestep is None else spec.min_timestep
        end = 1000 if spec.max_timestep is None else spec.max_timestep
        keys["timestep_range"] = f"{start},{end}"
    return {f"modelspec.{name}": text for name, text in keys.items()}


def _resolution(text: str | None) -> str:
    """ "1280,720" as "1280x720", "960" as "960x960"."""
    if text is None:
        return "1280x720"
    width, height = parse_resolution(text)
    return f"{width}x{height}"
