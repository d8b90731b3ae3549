"""Make the demo's base models: `python -m demo_base STAGE --folder FOLDER`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

DEFAULT_STEPS = {"vae": 5200, "text": 700, "corpus": 12, "transformer": 3800, "measure": 60}
"""Of training; of the corpus, its parts; of the measures, prompts."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo_base", description=__doc__)
    parser.add_argument("stage", choices=[*DEFAULT_STEPS], help="in this order; each goes on where it was cut off")
    parser.add_argument("--folder", type=Path, required=True, help="where states and weights lie")
    parser.add_argument("--steps", type=int, help="how long to train, how much to make")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="more than one wait for each other on a busy machine")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    _stage(options.stage)(options.folder, steps=options.steps or DEFAULT_STEPS[options.stage], seed=options.seed)


def _stage(name: str) -> Callable[..., None]:
    from demo_base import autoencoder, corpus, measures, text_encoders, transformer

    return {
        "vae": autoencoder.train_autoencoder,
        "text": text_encoders.train_text_encoders,
        "corpus": corpus.make_corpus,
        "transformer": transformer.train_transformer,
        "measure": measures.measure,
    }[name]


if __name__ == "__main__":
    main()
