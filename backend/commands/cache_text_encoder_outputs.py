"""Encode captions once: `python -m backend cache_text_encoder_outputs --dataset_config dataset.toml
--text_encoder1 LLAMA --text_encoder2 CLIP`, each a folder or a file."""

from __future__ import annotations

from backend.caching.progress import print_pending, print_problems, print_stale, report_left_out, shown_progress
from backend.commands.required import check_encoders, required_path
from backend.config.command_line import make_parser, read_arguments
from backend.config.configuration import Configuration
from backend.config.dataset import read_dataset_file
from backend.plan.encoder_names import clip_name, llm_name
from backend.runs.outcome import reported_outcome
from backend.runs.status import Reporter


def main(arguments: list[str]) -> int:
    """Cache what the text encoders make of the captions of a dataset. Returns 0; whatever went wrong is raised."""
    groups = ("dataset", "model", "caching")
    parser = make_parser("cache_text_encoder_outputs", description=__doc__ or "", groups=groups)
    configuration, _ = read_arguments(parser, arguments)
    reporter = Reporter.from_environment()
    with reported_outcome(reporter, phase="caching"):
        run(configuration, reporter=reporter)
    return 0


def run(configuration: Configuration, *, reporter: Reporter) -> None:
    """Cache what is missing, or everything: first with the language model, then with CLIP, one in memory at a time."""
    from backend.caching.text_outputs import cache_clip_outputs, cache_llm_outputs, find_captions, without_cached
    from backend.commands.text_encoders import load_clip_l, load_llama  # with transformers it takes seconds to import
    from backend.models.devices import choose_device

    options = configuration.caching
    dataset_file = read_dataset_file(required_path(configuration.dataset.dataset_config, "dataset_config"))
    check_encoders(configuration, "text_encoder1", "text_encoder2")
    device = choose_device(options.device)
    captions, problems = find_captions(dataset_file)
    print_problems((*dataset_file.warnings, *problems))
    llm, clip = llm_name(configuration.model), clip_name(configuration.model)
    for part, name, load, cache in (
        ("llm", llm, load_llama, cache_llm_outputs),
        ("clipL", clip, load_clip_l, cache_clip_outputs),
    ):
        pending, stale = without_cached(captions, part, encoder=name) if options.skip_existing else (captions, [])
        print_stale(stale)
        existing = len(captions) - len(pending)
        print_pending(f"captions for {part}", len(pending), existing, skip_existing=options.skip_existing)
        if pending:
            encoder = load(configuration, device=device)
            with shown_progress(part, total=len(pending), reporter=reporter) as progress:
                cache(pending, encoder, batch_size=options.batch_size, encoder=name, progress=progress)
            del encoder  # before the next one is loaded
    report_left_out(problems, cached_count=len(captions), reporter=reporter)
