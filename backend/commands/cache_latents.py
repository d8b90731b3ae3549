"""Encode pictures and clips once: `python -m backend cache_latents --dataset_config dataset.toml --vae FILE`."""

from __future__ import annotations

import os
from itertools import islice

from backend.caching.progress import print_pending, print_problems, print_stale, report_left_out, shown_progress
from backend.commands.required import check_encoders, required_path
from backend.config.command_line import make_parser, read_arguments
from backend.config.configuration import Configuration
from backend.config.dataset import read_dataset_file
from backend.errors import Problem
from backend.plan.encoder_names import vae_name
from backend.runs.outcome import reported_outcome
from backend.runs.status import Reporter


def main(arguments: list[str]) -> int:
    """Cache the latents of a dataset, or only show what would be encoded. Returns 0; whatever went wrong is raised."""
    parser = make_parser("cache_latents", description=__doc__ or "", groups=("dataset", "model", "caching"))
    preview_help = "only show what would be encoded: printed, or as files in a folder preview beside the caches"
    parser.add_argument("--debug_mode", choices=("console", "image", "video"), help=preview_help)
    parser.add_argument("--console_width", type=int, metavar="COLUMNS", help="width of printed pictures (default: 80)")
    parser.add_argument("--console_num_images", type=int, metavar="N", help="show only so many items of each dataset")
    configuration, own = read_arguments(parser, arguments)
    if "debug_mode" in own:
        most = getattr(own, "console_num_images", None)
        preview(configuration, own.debug_mode, width=getattr(own, "console_width", 80), most=most)
        return 0
    reporter = Reporter.from_environment()
    with reported_outcome(reporter, phase="caching"):
        run(configuration, reporter=reporter)
    return 0


def preview(configuration: Configuration, kind: str, *, width: int, most: int | None) -> None:
    """Show what the VAE would be given. most: items of each dataset, None for all."""
    from backend.caching.latents import find_latent_work, load_items  # torch takes seconds to import
    from backend.caching.preview import preview_items

    dataset_file = read_dataset_file(required_path(configuration.dataset.dataset_config, "dataset_config"))
    work = find_latent_work(dataset_file, skip_existing=False)
    problems = list(work.problems)
    for pending in work.pending:
        preview_items(islice(load_items(pending, problems), most), kind, width=width)
    print_problems(problems)


def run(configuration: Configuration, *, reporter: Reporter) -> None:
    """Cache what is missing, or everything.

    Items that cannot be read are warnings, as they are in the plan. Raises UserError if nothing at all is cached then.
    """
    import torch  # with diffusers it takes seconds to import

    from backend.caching.latents import cache_latents, find_latent_work
    from backend.commands.autoencoder import load_autoencoder
    from backend.models.devices import choose_device

    options = configuration.caching
    dataset_file = read_dataset_file(required_path(configuration.dataset.dataset_config, "dataset_config"))
    check_encoders(configuration, "vae")
    encoder = vae_name(configuration.model)
    work = find_latent_work(dataset_file, skip_existing=options.skip_existing, encoder=encoder)
    print_problems((*dataset_file.warnings, *work.problems))
    print_stale(work.stale)
    print_pending("latents", work.pending_count, work.existing_count, skip_existing=options.skip_existing)
    unread: list[Problem] = []
    if work.pending_count:
        torch.backends.cudnn.enabled = not options.disable_cudnn_backend
        vae = load_autoencoder(configuration, device=choose_device(options.device))
        workers = options.num_workers or max(1, (os.cpu_count() or 1) - 1)
        seed = configuration.schedule.seed or 0
        with shown_progress("latents", total=work.pending_count, reporter=reporter) as progress:
            unread = cache_latents(
                work, vae, batch_size=options.batch_size, workers=workers, seed=seed, progress=progress
            )
    print_problems(unread)
    report_left_out((*work.problems, *unread), cached_count=work.count_cached(), reporter=reporter)
