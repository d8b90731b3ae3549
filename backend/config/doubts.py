"""Options that are taken as they are written, but would do nothing or probably mean something else: warnings."""

from __future__ import annotations

from collections.abc import Iterator

from backend.config.configuration import Configuration, all_options
from backend.config.needs import first_unmet
from backend.errors import Problem

_TOLD_AS_ERRORS = ("lr_warmup_steps",)
"""A warm-up with the schedule constant is refused."""


def find_doubts(configuration: Configuration) -> list[Problem]:
    """A warning for each option without effect, and for those that musubi-tuner understands otherwise."""
    parts = (_needs, _network, _timesteps, _sampling)
    return [doubt for part in parts for doubt in part(configuration)]


def _needs(configuration: Configuration) -> Iterator[Problem]:
    """Options that were changed, but lack what they need of another one to act."""
    values = configuration.values()
    for name, declared in all_options().items():
        need = first_unmet(declared.needs, values)
        if need is not None and values[name] != declared.default and name not in _TOLD_AS_ERRORS:
            yield _without_effect(name, need.reason(values[need.option]), need.hint())


def _network(configuration: Configuration) -> Iterator[Problem]:
    for name in ("conv_dim", "conv_alpha"):
        if getattr(configuration.network, name) is not None:
            yield _without_effect(name, "HunyuanVideo has no convolutions where networks are trained")


def _timesteps(configuration: Configuration) -> Iterator[Problem]:
    options = configuration.timesteps
    sampling = options.timestep_sampling
    if options.weighting_scheme in ("logit_normal", "mode") and sampling != "sigma":
        reason = f"{options.weighting_scheme} only acts with timestep_sampling sigma"
        yield _without_effect("weighting_scheme", reason)
    has_range = (options.min_timestep or 0) > 0 or (options.max_timestep or 1000) < 1000
    if sampling == "sigma" and has_range:
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
