"""Samples as files: each prompt through the transformer and the VAE, with what it was made from kept inside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from backend.atomic_file import replaced
from backend.config.sample_prompts import SamplePrompt, check_images, format_line
from backend.errors import OptionError, UserError
from backend.models.hunyuan_video.latent_space import LATENT_SCALE
from backend.plan.modules import TransformerShape
from backend.training.sampling import PromptText, SampleSettings, SampleSize, sample_latents
from backend.visual_files import write_frames, write_pictures

if TYPE_CHECKING:
    from diffusers import AutoencoderKLHunyuanVideo

Told = Callable[[str], None]
Output = Literal["video", "images", "latent"]


class SamplingEnded(Exception):
    """Raised from the outside to end sampling in the middle; samples that are left are not made."""


def label_of_step(step: int) -> str:
    """What the names of samples made after a step tell."""
    return f"{step:06d}"


def label_of_epoch(epoch: int) -> str:
    """What the names of samples made at the end of an epoch tell; 0 is before the first."""
    return f"e{epoch:06d}"


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt that can be sampled. index: its place in the file. first_frame: scaled latents (1, 16, 1, H, W)."""

    index: int
    prompt: SamplePrompt
    text: PromptText
    negative: PromptText | None = None
    first_frame: Tensor | None = None


@dataclass(frozen=True)
class Sample:
    """What was made of a prompt, and from which seed."""

    index: int
    path: Path
    seed: int
    prompt: SamplePrompt


@dataclass(frozen=True)
class Sampler:
    """Makes samples of the same prompts again and again.

    vae: waits on the CPU and is moved to the device to decode. seed: where a prompt has none, its own follows from this
    and its index, so that it shows the same noise each time and can be compared. name: what file names begin with.
    writes: whether this process writes files; one that only computes its part of split weights does not. outputs: what
    is written of each: a clip or picture, a folder of pictures, the latents.
    """

    prompts: Sequence[EncodedPrompt]
    vae: AutoencoderKLHunyuanVideo
    folder: Path
    name: str
    device: torch.device
    seed: int
    autocast: Callable[[], AbstractContextManager] = nullcontext
    writes: bool = True
    outputs: frozenset[Output] = frozenset({"video"})

    def fitted_to(self, shape: TransformerShape) -> Sampler:
        """The same with first frames only where the transformer takes them. Raises OptionError if it lacks one."""
        if shape.continues_a_picture:
            if problems := check_images((encoded.prompt for encoded in self.prompts), needed=True):
                raise OptionError.of(problems)
            return self
        return replace(self, prompts=[replace(encoded, first_frame=None) for encoded in self.prompts])

    def make(self, transformer: nn.Module, *, label: str, facts: dict[str, str], tell: Told) -> list[Sample]:
        """One file for each prompt: FOLDER/NAME_LABEL_INDEX_TIME_SEED.png or .mp4.

        facts: kept in the files with the prompt. tell: called with a few words at each step; it may raise to end this.
        Raises UserError if the files cannot be written.
        """
        samples = []
        for number, encoded in enumerate(self.prompts, start=1):
            told = _numbered(tell, number, len(self.prompts))
            latents = self.sample(transformer, encoded, tell=told)
            if self.writes:
                told("decoding")
                samples.append(self._write(encoded, latents, label=label, facts=facts))
        return samples

    def sample(self, transformer: nn.Module, encoded: EncodedPrompt, *, tell: Told) -> Tensor:
        """Unscaled latents (1, 16, F, H, W) of one prompt."""
        prompt = encoded.prompt
        with self.autocast():
            return sample_latents(
                transformer,
                encoded.text.to(self.device),
                SampleSize(prompt.width, prompt.height, prompt.frames),
                settings=settings_of(prompt),
                generator=torch.Generator().manual_seed(self.seed_of(encoded)),
                negative=encoded.negative.to(self.device) if encoded.negative else None,
                first_frame=encoded.first_frame.to(self.device) if encoded.first_frame is not None else None,
                on_step=lambda step: tell(f"step {step} of {prompt.sample_steps}"),
            )

    def _write(self, encoded: EncodedPrompt, latents: Tensor, *, label: str, facts: dict[str, str]) -> Sample:
        """Raises UserError if the files cannot be written."""
        prompt, seed = encoded.prompt, self.seed_of(encoded)
        stem = self.folder / f"{self.name}_{label}_{encoded.index:02d}_{time.strftime('%Y%m%d%H%M%S')}_{seed}"
        frames = self.decode(latents).numpy() if self.outputs & {"video", "images"} else None
        try:
            path = self._write_outputs(stem, latents, frames, description={**describe(prompt, seed=seed), **facts})
        except OSError as error:
            hint = "check the free space and the folder"
            raise UserError(f"{stem}: a sample cannot be written: {error}", hint=hint) from error
        return Sample(encoded.index, path, seed, prompt)

    def _write_outputs(
        self, stem: Path, latents: Tensor, frames: np.ndarray | None, *, description: dict[str, str]
    ) -> Path:
        """What is wanted of a sample; returns the path of the last file, a clip or picture if there is one."""
        path = stem
        if "latent" in self.outputs:
            path = write_latents(stem, latents, description=description)
        if "images" in self.outputs and frames is not None:
            path = write_pictures(stem, frames, description=description)
        if "video" in self.outputs and frames is not None:
            path = write_frames(stem, frames, description=description)
        return path

    def seed_of(self, encoded: EncodedPrompt) -> int:
        """The seed of a prompt's noise."""
        return self.seed + encoded.index if encoded.prompt.seed is None else encoded.prompt.seed

    def decode(self, latents: Tensor) -> Tensor:
        """Frames (T, H, W, 3) uint8 of unscaled latents."""
        from backend.models.hunyuan_video.vae import decode_frames  # diffusers takes seconds to import

        self.vae.to(self.device)
        try:
            return decode_frames(self.vae, latents)
        finally:
            self.vae.to("cpu")


def write_latents(stem: Path, latents: Tensor, *, description: dict[str, str]) -> Path:
    """STEM_latent.safetensors with the tensor `latent`, scaled, as musubi-tuner's generator writes it."""
    path = stem.with_name(f"{stem.name}_latent.safetensors")
    with replaced(path) as temporary:
        save_file({"latent": (latents * LATENT_SCALE).cpu().contiguous()}, temporary, metadata=description)
    return path


def settings_of(prompt: SamplePrompt) -> SampleSettings:
    """How a prompt is sampled."""
    return SampleSettings(
        steps=prompt.sample_steps,
        flow_shift=prompt.discrete_flow_shift,
        guidance=prompt.guidance_scale,
        cfg=prompt.cfg_scale if prompt.uses_negative else 1.0,
    )


def describe(prompt: SamplePrompt, *, seed: int) -> dict[str, str]:
    """What a file keeps of how it was made: all values by name, and the line that makes it again."""
    exact = prompt.model_copy(update={"seed": seed})
    values = {name: str(value) for name, value in exact.model_dump().items() if value not in (None, "")}
    return {**values, "parameters": format_line(exact)}


def shares_of_prompts(prompts: Iterable[SamplePrompt], *, index: int, count: int) -> list[tuple[int, SamplePrompt]]:
    """The prompts that one of several processes samples, each with its place in the file."""
    return [(place, prompt) for place, prompt in enumerate(prompts) if place % count == index]


def _numbered(tell: Told, number: int, total: int) -> Told:
    return lambda words: tell(f"sample {number} of {total}: {words}")
