"""Options that are taken as they are written, but would do nothing or probably mean something else: warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backend.config.configuration import Configuration, all_options
from backend.config.needs import first_unmet
from backend.errors import Problem


def find_doubts(configuration: Configuration) -> list[Problem]:
    """A warning for each option without effect, and for those that musubi-tuner understands otherwise."""
    parts = (_needs, _network, _timesteps, _sampling)
    return [doubt for part in parts for doubt in part(configuration)]


def _needs(configuration: Configuration) -> Iterator[Problem]:
    """Options that were changed, but lack what they need of another one to act."""
    values = configuration.values()
    for name, declared in all_options().items():
        need = first_unmet(declared.needs, values)
        if need is not None and values[name] != declared.default and not _is_refused(name, values):
            yield _without_effect(name, need.reason(values[need.option]), need.hint())


def _is_refused(name: str, values: Mapping[str, Any]) -> bool:
    """Whether the plan tells it as an error: a schedule's arguments, and a warm-up of the schedule constant."""
    if values["lr_scheduler_type"]:
        return False
    return name == "lr_scheduler_args" or (name == "lr_warmup_steps" and values["lr_scheduler"] == "constant")


def _network(configuration: Configuration) -> Iterator[Problem]:
    for name in ("conv_dim", "conv_alpha"):
        if getattr(configuration.network, name) is not None:
            yield _without_effect(name, "HunyuanVideo has no convolutions where networks are trained")


def _timesteps(configuration: Configuration) -> Iterator[Problem]:
    options = configuration.timesteps
    has_range = (options.min_timestep or 0) > 0 or (options.max_timestep or 1000) < 1000
    if options.timestep_sampling == "sigma" and has_range:
        yield Problem(
            "min_timestep and max_timestep are real timesteps here: 0 is clean, 1000 pure noise",
            "with timestep_sampling sigma musubi-tuner counts them from the noisy end",
            "min_timestep",
            "warning",
        )


def _sampling(configuration: Configuration) -> Iterator[Problem]:
    options = configuration.sampling
    times = ("sample_every_n_steps", "sample_every_n_epochs", "sample_at_first")
    if options.sample_prompts and not any(getattr(options, name) for name in times):
        yield _without_effect("sample_prompts", "nothing says when to sample", "set sample_every_n_steps, for example")


def _without_effect(name: str, reason: str, hint: str = "") -> Problem:
    return Problem(f"{name} has no effect: {reason}", hint, name, "warning")
