"""Make pictures and clips with and without LoRAs: `python -m backend generate --config_file run.toml
--prompt "a cat walks --f 25" --lora_weight my_lora.safetensors --strengths 0 0.5 1`."""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from backend.config.command_line import finite, make_parser, read_arguments
from backend.config.configuration import Configuration, all_options
from backend.config.file_names import is_file_name
from backend.config.sample_prompts import SamplePrompt, check_images, parse_line, read_prompts, with_values
from backend.errors import OptionError, Problem, StoppedByUser
from backend.plan.encoder_files import KINDS, encoder_problems
from backend.plan.plan import make_plan
from backend.runs.outcome import reported_outcome
from backend.runs.status import Reporter
from backend.runs.workspace import DEFAULT_WORKSPACE

if TYPE_CHECKING:
    import torch

    from backend.training.sampler import Sample, Sampler

OUTPUTS = {"video": {"video"}, "images": {"images"}, "latent": {"latent"}, "both": {"video", "latent"}}


def main(arguments: list[str]) -> int:
    """Sample every prompt at every strength; with several strengths also write them side by side. Returns 0."""
    configuration, own = read_arguments(_parser(), arguments)
    prompts = _prompts(configuration, own)
    _check(configuration, prompts, own)
    reporter = Reporter.from_environment()
    with reported_outcome(reporter, phase="loading"):
        reporter.update(total_steps=len(prompts) * len(own.strengths))
        generate(configuration, prompts, own, reporter=reporter)
    return 0


def generate(
    configuration: Configuration, prompts: Sequence[SamplePrompt], own: argparse.Namespace, *, reporter: Reporter
) -> None:
    """Encode the prompts once, then for each strength load the transformer with the LoRAs merged, and sample."""
    from backend.commands.device import check_device, set_up_device
    from backend.commands.model import load_model
    from backend.commands.samples import make_sampler  # torch and diffusers take seconds to import
    from backend.models.devices import choose_device

    device = choose_device(configuration.caching.device)
    check_device(configuration, device)
    set_up_device(configuration)
    sampler = make_sampler(
        configuration,
        list(enumerate(prompts)),
        folder=own.save_path,
        name=own.name,
        device=device,
        seed=_seed(configuration),
        autocast=partial(_autocast, configuration, device),
    )
    sampler = replace(sampler, outputs=frozenset(OUTPUTS[own.output_type]))
    made: dict[float, list[Sample]] = {}
    for strength in dict.fromkeys(own.strengths):
        transformer = load_model(_with_loras(configuration, own, strength=strength), device=device)
        fitted = sampler.fitted_to(transformer.shape)
        facts = {"lora": ", ".join(map(str, own.lora_weight)), "strength": f"{strength:g}"}
        made[strength] = fitted.make(transformer, label=f"x{strength:g}", facts=facts, tell=partial(_tell, reporter))
        del transformer  # before the next one is loaded
        for sample in made[strength]:
            print(f"saved {sample.path}", flush=True)
    if len(made) > 1 and own.output_type in ("video", "both"):
        _write_comparisons(sampler, made)


def _parser() -> argparse.ArgumentParser:
    """Flags with an option's name (seed, device, sample_prompts) are that option, the others the command's own."""
    parser = make_parser("generate", description=__doc__ or "", groups=("model", "memory"), only=True)
    what = parser.add_argument_group("What to make")
    what.add_argument(
        "--prompt", action="append", default=[], metavar="TEXT", help="with options behind it as in a file"
    )
    what.add_argument("--sample_prompts", metavar="FILE", help="a .txt, .toml or .json file of prompts")
    what.add_argument("--seed", metavar="N", help="of the first prompt without one; the others count on from it")
    for flag, kind, metavar, help_text in (
        ("--negative_prompt", str, "TEXT", "what to go away from, with a guidance scale other than 1"),
        ("--video_length", int, "FRAMES", "4k + 1"),
        ("--infer_steps", int, "N", "steps of each sample"),
        ("--embedded_cfg_scale", float, "X", "guidance that the transformer is told"),
        ("--flow_shift", float, "X", "above 1: more of the steps at much noise"),
        ("--image_path", str, "FILE", "first frame, for models that continue a picture"),
    ):
        what.add_argument(flag, type=kind, default=None, metavar=metavar, help=help_text)
    what.add_argument("--video_size", nargs=2, type=int, default=None, metavar=("HEIGHT", "WIDTH"), help="in pixels")
    cfg_help = "how far to go away from the negative prompt"
    what.add_argument("--guidance_scale", dest="cfg_scale", type=float, default=None, metavar="X", help=cfg_help)
    loras = parser.add_argument_group("LoRAs")
    loras.add_argument("--lora_weight", nargs="+", type=Path, default=[], metavar="FILE", help="LoRA files to use")
    loras.add_argument(
        "--lora_multiplier", nargs="+", type=finite, default=[], metavar="X", help="strength of each file"
    )
    strengths = "make each sample at several strengths of all LoRAs together, and side by side: --strengths 0 0.5 1"
    loras.add_argument("--strengths", nargs="+", type=finite, default=[1.0], metavar="X", help=strengths)
    output = parser.add_argument_group("Output")
    output.add_argument(
        "--save_path", type=Path, default=DEFAULT_WORKSPACE / "generated", metavar="FOLDER", help="where"
    )
    output.add_argument("--name", default="sample", help="what file names begin with")
    output.add_argument("--output_type", choices=OUTPUTS, default="video", help="both: clips and latents")
    output.add_argument("--device", metavar="NAME", help="such as cuda, cuda:1 or cpu; a GPU if there is one")
    return parser


def _prompts(configuration: Configuration, own: argparse.Namespace) -> list[SamplePrompt]:
    """The prompts of flags and file; flags about size and steps hold for all of them that do not say otherwise."""
    prompts = [parse_line(text, place="--prompt") for text in own.prompt]
    if file := configuration.sampling.sample_prompts:
        prompts += read_prompts(Path(file))
    if not prompts:
        raise OptionError("there is no prompt", hint="add --prompt TEXT or --sample_prompts FILE", option="prompt")
    if len(own.lora_multiplier) > len(own.lora_weight):
        message = f"--lora_multiplier has {len(own.lora_multiplier)} numbers for {len(own.lora_weight)} files"
        raise OptionError(message, hint="take the others out", option="lora_multiplier")
    return [_with_defaults(prompt, own) for prompt in prompts]


def _with_defaults(prompt: SamplePrompt, own: argparse.Namespace) -> SamplePrompt:
    height, width = own.video_size or (None, None)
    given = {
        "negative_prompt": own.negative_prompt,
        "height": height,
        "width": width,
        "frame_count": own.video_length,
        "sample_steps": own.infer_steps,
        "cfg_scale": own.cfg_scale,
        "guidance_scale": own.embedded_cfg_scale,
        "discrete_flow_shift": own.flow_shift,
        "image_path": own.image_path,
    }
    return with_values(prompt, {name: value for name, value in given.items() if value is not None}, place="the flags")


def _check(configuration: Configuration, prompts: Sequence[SamplePrompt], own: argparse.Namespace) -> None:
    """Raise OptionError with everything that keeps this from starting, before anything is loaded."""
    model = configuration.model
    problems = [
        Problem(f"{all_options()[name].label} ({name}) is not given", f"add --{name} PATH", name)
        for name in KINDS
        if getattr(model, name) is None
    ]
    problems += encoder_problems(model, severity="error")
    plan = make_plan(_with_loras(configuration, own, strength=1.0).changed(dataset_config=None))
    problems += [problem for problem in plan.errors if problem.option in ("dit", "base_weights", "blocks_to_swap")]
    problems += check_images(prompts, needed=plan.shape.continues_a_picture)
    if not is_file_name(own.name):
        problems.append(
            Problem(f"--name is {own.name!r}", "wanted the beginning of a file name, without folder", "name")
        )
    if problems:
        raise OptionError.of(problems)
    own.save_path.mkdir(parents=True, exist_ok=True)


def _with_loras(configuration: Configuration, own: argparse.Namespace, *, strength: float) -> Configuration:
    """The configuration whose transformer has the LoRAs merged at that strength."""
    pairs = list(zip_longest(own.lora_weight, own.lora_multiplier, fillvalue=1.0)) if strength else []
    return configuration.changed(
        base_weights=[*configuration.network.base_weights, *(str(path) for path, _ in pairs)],
        base_weights_multiplier=[*_multipliers(configuration), *(multiplier * strength for _, multiplier in pairs)],
    )


def _multipliers(configuration: Configuration) -> list[float]:
    """The strengths of the configuration's own base_weights, each stated."""
    network = configuration.network
    return [
        *network.base_weights_multiplier,
        *[1.0] * (len(network.base_weights) - len(network.base_weights_multiplier)),
    ]


def _write_comparisons(sampler: Sampler, made: dict[float, list[Sample]]) -> None:
    from backend.visual_files import read_description, read_frames, side_by_side, write_frames

    titles = [f"strength {strength:g}" for strength in made]
    for samples in zip(*made.values(), strict=True):
        frames = side_by_side([read_frames(sample.path) for sample in samples], titles)
        description = {"prompt": samples[0].prompt.prompt, "seed": str(samples[0].seed), "shows": ", ".join(titles)}
        stem = samples[-1].path.stem.replace(f"_x{list(made)[-1]:g}_", "_compared_", 1)
        description["parameters"] = read_description(samples[0].path)["parameters"]
        print(f"saved {write_frames(samples[0].path.with_name(stem), frames, description=description)}", flush=True)


def _autocast(configuration: Configuration, device: torch.device) -> AbstractContextManager:
    import torch

    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(configuration.memory.mixed_precision)
    return torch.autocast(device.type, dtype=dtype) if dtype else nullcontext()


def _seed(configuration: Configuration) -> int:
    seed = configuration.schedule.seed
    return random.SystemRandom().randrange(2**32) if seed is None else seed


def _tell(reporter: Reporter, words: str) -> None:
    reporter.update(phase="sampling", message=words)
    if reporter.is_requested("stop"):
        raise StoppedByUser("stopped; what was made so far stays")
