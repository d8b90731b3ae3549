"""Whether the base weights are split over the processes, read from a file that `accelerate config` has made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from backend.errors import OptionError

OPTION = "accelerate_config_file"
_WHOLE_WHILE_COMPUTING = {"SHARD_GRAD_OP", "_HYBRID_SHARD_ZERO2", "2"}


@dataclass(frozen=True)
class Sharding:
    """How the base weights are split (fully sharded data parallel, FSDP).

    offload: the shares lie in main memory. reshard: weights that came from other processes are given back after the
    forward pass and fetched again for the backward pass, in place of being kept.
    """

    offload: bool = False
    reshard: bool = True


def read_sharding(path: Path) -> Sharding:
    """The settings of FSDP in the file. Raises OptionError for a file that has none, and for DeepSpeed."""
    content = _read_yaml(path)
    kind = str(content.get("distributed_type", "NO")).upper()
    if kind == "DEEPSPEED" or "deepspeed_config" in content:
        raise OptionError(
            f"{path}: asks for DeepSpeed",
            hint="a LoRA's optimizer is small; to split the base weights choose FSDP in accelerate config",
            option=OPTION,
        )
    settings = content.get("fsdp_config")
    if kind != "FSDP" or not isinstance(settings, dict):
        raise OptionError(
            f"{path}: distributed_type is {kind}",
            hint="wanted FSDP; processes, machines and precision are options of their own",
            option=OPTION,
        )
    reshard = settings.get("fsdp_reshard_after_forward", settings.get("fsdp_sharding_strategy", True))
    return Sharding(
        offload=_is_true(settings.get("fsdp_offload_params", False)),
        reshard=not (str(reshard).upper() in _WHOLE_WHILE_COMPUTING or str(reshard).lower() == "false"),
    )


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise OptionError(f"{path}: there is no such file", hint="check the path", option=OPTION) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = " ".join(str(error).split())
        raise OptionError(f"{path}: cannot be read: {message}", hint="wanted YAML", option=OPTION) from error
    if not isinstance(content, dict):
        raise OptionError(f"{path}: holds no settings", hint="make it with accelerate config", option=OPTION)
    return content


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"
