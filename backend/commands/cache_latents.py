"""Encode pictures and clips once: `python -m backend cache_latents --dataset_config dataset.toml --vae FILE`."""

from __future__ import annotations

from pathlib import Path

from backend.caching.progress import print_problems, report_left_out, reported_outcome, shown_progress
from backend.commands.required import required_path
from backend.config.command_line import make_parser, read_arguments
from backend.config.dataset import read_dataset_file
from backend.errors import Problem
from backend.runs.status import Reporter


def main(arguments: list[str]) -> int:
    """Cache the latents of a dataset. Returns 0; whatever went wrong is raised."""
    parser = make_parser("cache_latents", description=__doc__ or "", groups=("dataset", "model", "caching"))
    configuration, _ = read_arguments(parser, arguments)
    reporter = Reporter.from_environment()
    with reported_outcome(reporter):
        run(
            required_path(configuration.dataset.dataset_config, "dataset_config"),
            required_path(configuration.model.vae, "vae"),
            vae_dtype=configuration.model.vae_dtype,
            device=configuration.caching.device,
            batch_size=configuration.caching.batch_size,
            skip_existing=configuration.caching.skip_existing,
            seed=configuration.schedule.seed or 0,
            reporter=reporter,
        )
    return 0


def run(
    dataset_config: Path,
    vae: Path,
    *,
    vae_dtype: str,
    device: str | None,
    batch_size: int | None,
    skip_existing: bool,
    seed: int = 0,
    reporter: Reporter,
) -> None:
    """Cache what is missing, or everything.

    Items that cannot be read are warnings, as they are in the plan. Raises UserError if nothing at all is cached then.
    """
    import torch  # with diffusers it takes seconds to import

    from backend.caching.latents import cache_latents, find_latent_work
    from backend.models.devices import choose_device
    from backend.models.hunyuan_video.vae import load_vae

    dataset_file = read_dataset_file(dataset_config)
    work = find_latent_work(dataset_file, skip_existing=skip_existing)
    print_problems((*dataset_file.warnings, *work.problems))
    print(f"latents: {work.pending_count} to encode, {work.existing_count} there already", flush=True)
    unread: list[Problem] = []
    if work.pending_count:
        model = load_vae(vae, device=choose_device(device), dtype=getattr(torch, vae_dtype))
        with shown_progress("latents", total=work.pending_count, reporter=reporter) as progress:
            unread = cache_latents(work, model, batch_size=batch_size, seed=seed, progress=progress)
    print_problems(unread)
    report_left_out((*work.problems, *unread), cached_count=work.count_cached(), reporter=reporter)
