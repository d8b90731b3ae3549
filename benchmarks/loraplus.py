"""How much sooner LoRA+ learns: the demo's training at several ratios, measured on hearts that it does not show.

    python benchmarks/loraplus.py --folder docs                  train, measure, and write loraplus.json and .svg
    python benchmarks/loraplus.py --folder docs --only_draw      make table and plot anew from loraplus.json

It is the demo as `python -m backend demo --train` runs it, with a checkpoint every few steps, each of which is measured
afterwards. Ratio 1 is plain LoRA. The table is printed, in Markdown.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import multiprocessing
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend.commands.assembly import assemble_trainer
from backend.commands.demo import PRESET, make_demo
from backend.config.configuration import Configuration
from backend.config.presets import find_preset, read_preset
from backend.demo.dataset import WINDOW_FRAMES
from backend.demo.models import MODELS
from backend.models.hunyuan_video.text_encoders import encode_clip, encode_llm, load_clip, load_llm
from backend.models.hunyuan_video.vae import encode, load_vae
from backend.networks.files import load_lora
from backend.plan.output_files import step_file
from backend.runs.folder import RunFolder
from backend.runs.status import Reporter
from backend.runs.training_job import complete_configuration
from backend.training.batches import TrainingBatch
from backend.training.loss import batch_loss
from backend.training.noise_sampling import NoiseLevels, NoiseSampling, draw_noise_levels
from backend.training.trainer import Trainer
from benchmarks.loraplus_report import Figures, plot, table
from demo_base.autoencoder import clip_batch
from demo_base.captions import caption
from demo_base.lora_effect import MOTIONS
from demo_base.new_look import CLIPS, PICTURES, SHAPE
from demo_base.scenes import BACKGROUNDS, COLOURS, HARDLY_SEEN, Figure, Scene, draw

HELD_OUT_SEED = 1


@dataclass(frozen=True)
class Case:
    """One training. ratio: None trains without LoRA+."""

    learning_rate: float
    ratio: float | None
    seed: int


def measure(case: Case, *, workspace: Path, steps: int, every: int) -> dict[str, Any]:
    """The case with its held-out losses before the training and after every so many steps."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w", encoding="utf-8") as log:
        with redirect_stdout(log), redirect_stderr(log):
            trainer = prepare(case, Path(folder), workspace=workspace, steps=steps, every=every)
            losses = [held_out_loss(trainer)]
            last = trainer.train()
            trainer.trackers.close()
        for step in range(every, steps + 1, every):
            trainer.network.load_state_dict(load_lora(last.with_name(step_file(last.stem, step)))[0])
            losses.append(held_out_loss(trainer))
    return asdict(case) | {"losses": [round(loss, 5) for loss in losses]}


def prepare(case: Case, folder: Path, *, workspace: Path, steps: int, every: int) -> Trainer:
    """The trainer of the workspace's demo, which will leave a checkpoint in the folder after every so many steps."""
    configuration = demo_configuration(workspace).changed(
        learning_rate=case.learning_rate,
        loraplus_lr_ratio=case.ratio,
        seed=case.seed,
        max_train_steps=steps,
        save_every_n_steps=every,
        save_precision="float",
        sample_prompts=None,
        sample_at_first=False,
        sample_every_n_steps=None,
    )
    run = RunFolder(folder)
    configuration = complete_configuration(configuration, run=run, workspace=folder)
    return assemble_trainer(configuration, run=run, reporter=Reporter(None))


def demo_configuration(workspace: Path) -> Configuration:
    """The preset Demo."""
    return Configuration.from_values(read_preset(find_preset(PRESET, workspace=workspace), workspace=workspace))


@torch.no_grad()
def held_out_loss(trainer: Trainer) -> float:
    """The trainer's own loss as the network stands, over the same items, noises and noise levels at every call."""
    trainer.network.train(False)
    device, settings = trainer.accelerator.device, trainer.settings
    return mean(
        batch_loss(trainer.transformer, batch, noise=noise, levels=levels, settings=settings).item()
        for batch, noise, levels in held_out(settings.sampling, device)
    )


@functools.cache
def held_out(sampling: NoiseSampling, device: torch.device) -> list[tuple[TrainingBatch, Tensor, NoiseLevels]]:
    """Hearts in each pair of colour and background that the demo does not show, half as pictures and half as clips.

    Their noise levels lie in the middles of equal parts of the distribution that the training draws from.
    """
    chance, generator = random.Random(HELD_OUT_SEED), torch.Generator().manual_seed(HELD_OUT_SEED)
    pairs = unseen_pairs()
    chance.shuffle(pairs)
    batches = []
    for frames, motions, own in ((1, ("still",), pairs[::2]), (WINDOW_FRAMES, MOTIONS, pairs[1::2])):
        batch = encoded([heart(*pair, motions, chance) for pair in own], frames=frames)
        uniforms = (torch.randperm(len(own), generator=generator) + 0.5) / len(own)
        levels = draw_noise_levels(len(own), sampling, generator=generator, uniforms=uniforms)
        noise = torch.randn(batch.latents.shape, generator=generator)
        levels = NoiseLevels(levels.sigmas.to(device), levels.timesteps.to(device))
        batches.append((batch.to(device), noise.to(device), levels))
    return batches


def unseen_pairs() -> list[tuple[str, str]]:
    """Colours and backgrounds that can be told apart and that no picture and no clip of the demo has together; 41."""
    shown = {(colour, background) for colour, *_, background in (*CLIPS, *PICTURES)}
    return [
        (colour, background)
        for colour, background in itertools.product(COLOURS, BACKGROUNDS)
        if colour not in (background, HARDLY_SEEN.get(background)) and (colour, background) not in shown
    ]


def heart(colour: str, background: str, motions: Sequence[str], chance: random.Random) -> Scene:
    """A heart of a size that the demo shows."""
    size, motion = chance.choice(("medium", "large")), chance.choice(motions)
    return Scene((Figure(SHAPE, colour, size, motion),), background)


def encoded(scenes: Sequence[Scene], *, frames: int) -> TrainingBatch:
    """The scenes as the demo's models cache them."""
    cpu = {"device": "cpu", "dtype": torch.float32}
    chance = random.Random(HELD_OUT_SEED)
    texts = [caption(scene, chance, moves=frames > 1) for scene in scenes]
    generators = [torch.Generator().manual_seed(index) for index in range(len(scenes))]
    pixels = clip_batch([draw(scene, frames) for scene in scenes])
    latents = encode(load_vae(MODELS / "vae.safetensors", **cpu), pixels, generators=generators)
    states, mask = encode_llm(load_llm(MODELS / "llama", **cpu), texts)
    pooled, _ = encode_clip(load_clip(MODELS / "clip", **cpu), texts)
    return TrainingBatch(latents, states, mask, pooled)


def main() -> None:
    options = _parse()
    file = options.folder / "loraplus.json"
    if not options.only_draw:
        options.folder.mkdir(parents=True, exist_ok=True)
        for figures in measured(options):
            file.write_text(json.dumps(figures) + "\n", encoding="utf-8")
    figures = Figures(**json.loads(file.read_text(encoding="utf-8")))
    file.with_suffix(".svg").write_text(plot(figures), encoding="utf-8")
    print(table(figures))


def measured(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What is known after each training: first every ratio at the demo's learning rate, then plain LoRA at others."""
    with tempfile.TemporaryDirectory() as folder, _processes(options.processes) as pool:
        workspace = Path(folder)
        make_demo(workspace, reporter=Reporter(None))
        rate = demo_configuration(workspace).optimizer.learning_rate
        figures = {"learning_rate": rate, "steps": options.steps, "every": options.every, "curves": []}
        kinds = [(rate, ratio) for ratio in options.ratios] + [
            (rate * factor, 1) for factor in options.plain_rate_factors
        ]
        cases = [Case(*kind, seed) for kind, seed in itertools.product(kinds, options.seeds)]
        one = functools.partial(measure, workspace=workspace, steps=options.steps, every=options.every)
        for case, curve in zip(cases, pool.map(one, cases), strict=True):
            figures["curves"].append(curve)
            print(f"{case}: lowest {min(curve['losses']):.4f}, at the end {curve['losses'][-1]:.4f}", flush=True)
            yield figures


def _processes(count: int) -> ProcessPoolExecutor:
    """Fresh ones: threads of torch do not outlive a fork."""
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where loraplus.json and loraplus.svg lie")
    parser.add_argument("--only_draw", action="store_true", help="train nothing, take loraplus.json as it is")
    parser.add_argument("--ratios", type=float, nargs="+", default=[1, 4, 16], help="1 has to be the first")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--plain_rate_factors", type=float, nargs="*", default=[1 / 4, 2],
        help="learning rates that plain LoRA is tried at too, as multiples of the demo's",
    )  # fmt: skip
    parser.add_argument("--steps", type=int, default=200, help="of each training")
    parser.add_argument("--every", type=int, default=5, help="steps between measurements")
    parser.add_argument("--processes", type=int, default=1, help="trainings at a time, of one thread each")
    options = parser.parse_args()
    if options.ratios[0] != 1:
        parser.error("ratios have to begin with 1: plain LoRA is what all is compared with")
    return options


if __name__ == "__main__":
    main()
