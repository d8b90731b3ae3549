"""Options that are taken as they are written, but would do nothing or probably mean something else: warnings."""

from __future__ import annotations

from collections.abc import Iterator

from backend.config.configuration import Configuration
from backend.errors import Problem

_MIN_RATIO_SCHEDULES = ("cosine_with_min_lr", "warmup_stable_decay", "rex")


def find_doubts(configuration: Configuration) -> list[Problem]:
    """A warning for each option without effect, and for those that musubi-tuner understands otherwise."""
    parts = (_network, _saving, _timesteps, _schedule, _sampling, _hugging_face)
    return [doubt for part in parts for doubt in part(configuration)]


def _network(configuration: Configuration) -> Iterator[Problem]:
    network = configuration.network
    if network.factor != -1 and network.network_module != "networks.lokr":
        yield _without_effect("factor", f"network_module is {network.network_module}", "choose networks.lokr to use it")
    for name in ("conv_dim", "conv_alpha"):
        if getattr(network, name) is not None:
            yield _without_effect(name, "HunyuanVideo has no convolutions where networks are trained")
    for name in ("exclude_patterns", "include_patterns"):
        if network.dim_from_weights and getattr(network, name):
            yield _without_effect(name, "dim_from_weights takes the modules of the start weights")


def _saving(configuration: Configuration) -> Iterator[Problem]:
    saving = configuration.saving
    for name, needed in (
        ("save_last_n_epochs", "save_every_n_epochs"),
        ("save_last_n_steps", "save_every_n_steps"),
        ("save_last_n_epochs_state", "save_every_n_epochs"),
        ("save_last_n_steps_state", "save_every_n_steps"),
    ):
        if getattr(saving, name) is not None and getattr(saving, needed) is None:
            yield _without_effect(name, f"{needed} is not given")
        elif name.endswith("_state") and getattr(saving, name) is not None and not saving.save_state:
            yield _without_effect(name, "save_state is off")


def _timesteps(configuration: Configuration) -> Iterator[Problem]:
    options = configuration.timesteps
    sampling = options.timestep_sampling
    if options.discrete_flow_shift != 1 and sampling != "shift":
        yield _without_effect("discrete_flow_shift", f"timestep_sampling is {sampling}", "choose shift to use it")
    if options.weighting_scheme in ("logit_normal", "mode") and sampling != "sigma":
        reason = f"{options.weighting_scheme} only acts with timestep_sampling sigma"
        yield _without_effect("weighting_scheme", reason)
    if (options.num_timestep_buckets or 0) > 1 and sampling == "sigma":
        yield _without_effect("num_timestep_buckets", "timestep_sampling is sigma")
    has_range = (options.min_timestep or 0) > 0 or (options.max_timestep or 1000) < 1000
    if sampling == "sigma" and has_range:
        yield Problem(
            "min_timestep and max_timestep are real timesteps here: 0 is clean, 1000 pure noise",
            "with timestep_sampling sigma musubi-tuner counts them from the noisy end",
            "min_timestep",
            "warning",
        )


def _schedule(configuration: Configuration) -> Iterator[Problem]:
    schedule = configuration.schedule
    if schedule.lr_scheduler_type:
        return
    used = f"lr_scheduler is {schedule.lr_scheduler}"
    if schedule.lr_decay_steps and schedule.lr_scheduler != "warmup_stable_decay":
        yield _without_effect("lr_decay_steps", used)
    if schedule.lr_scheduler_min_lr_ratio is not None and schedule.lr_scheduler not in _MIN_RATIO_SCHEDULES:
        yield _without_effect("lr_scheduler_min_lr_ratio", used)
    if schedule.lr_scheduler_timescale is not None and schedule.lr_scheduler != "inverse_sqrt":
        yield _without_effect("lr_scheduler_timescale", used)
    if schedule.lr_scheduler_power != 1 and schedule.lr_scheduler != "polynomial":
        yield _without_effect("lr_scheduler_power", used)


def _sampling(configuration: Configuration) -> Iterator[Problem]:
    options = configuration.sampling
    times = ("sample_every_n_steps", "sample_every_n_epochs", "sample_at_first")
    given = [name for name in times if getattr(options, name)]
    if not options.sample_prompts:
        yield from (_without_effect(name, "there is no prompt file (sample_prompts)") for name in given)
    elif not given:
        yield _without_effect("sample_prompts", "nothing says when to sample", "set sample_every_n_steps, for example")


def _hugging_face(configuration: Configuration) -> Iterator[Problem]:
    options = configuration.huggingface
    if options.huggingface_repo_id is None:
        names = ("huggingface_path_in_repo", "save_state_to_huggingface", "async_upload")
        given = [name for name in names if getattr(options, name)]
        yield from (_without_effect(name, "there is no repository (huggingface_repo_id)") for name in given)


def _without_effect(name: str, reason: str, hint: str = "") -> Problem:
    return Problem(f"{name} has no effect: {reason}", hint, name, "warning")
