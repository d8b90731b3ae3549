"""Encode captions once: `python -m backend cache_text_encoder_outputs --dataset_config dataset.toml
--text_encoder1 LLAMA --text_encoder2 CLIP`, each a folder or a file."""

from __future__ import annotations

from pathlib import Path

from backend.caching.progress import print_problems, report_left_out, reported_outcome, shown_progress
from backend.commands.required import required_path
from backend.config.command_line import make_parser, read_arguments
from backend.config.dataset import read_dataset_file
from backend.runs.status import Reporter


def main(arguments: list[str]) -> int:
    """Cache what the text encoders make of the captions of a dataset. Returns 0; whatever went wrong is raised."""
    groups = ("dataset", "model", "caching")
    parser = make_parser("cache_text_encoder_outputs", description=__doc__ or "", groups=groups)
    configuration, _ = read_arguments(parser, arguments)
    reporter = Reporter.from_environment()
    with reported_outcome(reporter):
        run(
            required_path(configuration.dataset.dataset_config, "dataset_config"),
            required_path(configuration.model.text_encoder1, "text_encoder1"),
            required_path(configuration.model.text_encoder2, "text_encoder2"),
            text_encoder_dtype=configuration.model.text_encoder_dtype,
            device=configuration.caching.device,
            batch_size=configuration.caching.batch_size,
            skip_existing=configuration.caching.skip_existing,
            reporter=reporter,
        )
    return 0


def run(
    dataset_config: Path,
    text_encoder1: Path,
    text_encoder2: Path,
    *,
    text_encoder_dtype: str,
    device: str | None,
    batch_size: int | None,
    skip_existing: bool,
    reporter: Reporter,
) -> None:
    """Cache what is missing, or everything: first with the language model, then with CLIP, one in memory at a time."""
    import torch  # with transformers it takes seconds to import

    from backend.caching.text_outputs import cache_clip_outputs, cache_llm_outputs, find_captions, without_cached
    from backend.models.devices import choose_device
    from backend.models.hunyuan_video.text_encoders import load_clip, load_llm

    dataset_file = read_dataset_file(dataset_config)
    captions, problems = find_captions(dataset_file)
    print_problems((*dataset_file.warnings, *problems))
    placed = {"device": choose_device(device), "dtype": getattr(torch, text_encoder_dtype)}
    passes = (
        ("llm", text_encoder1, load_llm, cache_llm_outputs),
        ("clipL", text_encoder2, load_clip, cache_clip_outputs),
    )
    for part, path, load, cache in passes:
        pending = without_cached(captions, part) if skip_existing else captions
        print(f"{part}: {len(pending)} captions to encode, {len(captions) - len(pending)} there already", flush=True)
        if pending:
            encoder = load(path, **placed)
            with shown_progress(part, total=len(pending), reporter=reporter) as progress:
                cache(pending, encoder, batch_size=batch_size, progress=progress)
            del encoder  # before the next one is loaded
    report_left_out(problems, cached_count=len(captions), reporter=reporter)
