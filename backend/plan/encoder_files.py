"""Whether the files of the VAE and the text encoders, which cache the dataset, are what the options say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from backend.config.schema import ModelOptions
from backend.errors import ModelFileError, Problem
from backend.plan.weights_header import kind_of_file, read_header

KINDS = {"vae": "HunyuanVideo VAE", "text_encoder1": "Llama text encoder", "text_encoder2": "CLIP text encoder"}


def encoder_problems(model: ModelOptions, *, severity: Literal["error", "warning"]) -> list[Problem]:
    """What is wrong with the files that are named; those that are not are no problem here."""
    named = ((name, getattr(model, name)) for name in KINDS)
    return [replace(problem, severity=severity) for name, path in named if path for problem in _problems(name, path)]


def _problems(name: str, path: str) -> Iterable[Problem]:
    file = Path(path)
    try:
        if file.suffix == ".safetensors":
            kind = kind_of_file(read_header(file)[0])
            if kind not in (KINDS[name], "unknown"):
                raise ModelFileError(f"{path}: this seems to be: {kind}", hint=f"wanted: {KINDS[name]}")
        elif not file.exists():
            raise ModelFileError(
                f"{path}: there is no such file or folder", hint="check the path", cause="missing_file"
            )
    except ModelFileError as error:
        return [replace(problem, option=name) for problem in error.problems]
    except OSError as error:
        return [Problem(f"{path}: cannot be read: {error.strerror}", hint="check the path", option=name)]
    return []
