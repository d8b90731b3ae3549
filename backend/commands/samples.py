"""Everything that samples need beside the transformer: the prompts of a file encoded, and the VAE."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from diffusers import AutoencoderKLHunyuanVideo
from torch import Tensor

from backend.commands.autoencoder import load_autoencoder
from backend.commands.text_encoders import load_clip_l, load_llama
from backend.config.configuration import Configuration
from backend.config.sample_prompts import SamplePrompt, check_images
from backend.dataset.pixels import fit_to_bucket, read_image
from backend.errors import OptionError
from backend.models.hunyuan_video.latent_space import LATENT_SCALE
from backend.models.hunyuan_video.text_encoders import encode_clip, encode_llm
from backend.models.hunyuan_video.vae import encode_picture
from backend.training.sampler import EncodedPrompt, Sampler
from backend.training.sampling import PromptText


def make_sampler(
    configuration: Configuration,
    prompts: Sequence[tuple[int, SamplePrompt]],
    *,
    folder: Path,
    name: str,
    device: torch.device,
    seed: int,
    autocast: Callable[[], AbstractContextManager],
    writes: bool = True,
) -> Sampler:
    """A sampler of these prompts, each with its place in the file; the text encoders are loaded and given back.

    The VAE waits on the CPU. Raises OptionError for a model or a first frame that is missing.
    """
    if problems := check_images((prompt for _, prompt in prompts), needed=False):
        raise OptionError.of(problems)
    texts = encode_texts(configuration, _texts_of(prompt for _, prompt in prompts), device=device)
    vae = load_autoencoder(configuration, device=torch.device("cpu"))
    encoded = [
        EncodedPrompt(
            index,
            prompt,
            texts[prompt.prompt],
            texts[prompt.negative_prompt] if prompt.uses_negative else None,
            _first_frame(vae, prompt, device=device) if prompt.image_path else None,
        )
        for index, prompt in prompts
    ]
    return Sampler(encoded, vae, folder, name, device, seed, autocast, writes)


def encode_texts(configuration: Configuration, texts: Iterable[str], *, device: torch.device) -> dict[str, PromptText]:
    """Each text through both encoders, on the CPU; one encoder is in memory at a time."""
    texts = list(texts)
    llama = load_llama(configuration, device=device)
    states = {text: [tensor.cpu() for tensor in encode_llm(llama, [text])] for text in texts}
    del llama
    _give_memory_back()
    clip = load_clip_l(configuration, device=device)
    pooled = {text: encode_clip(clip, [text])[0].cpu() for text in texts}
    del clip
    _give_memory_back()
    return {text: PromptText(*states[text], pooled[text]) for text in texts}


def _texts_of(prompts: Iterable[SamplePrompt]) -> list[str]:
    """What has to be encoded, each once."""
    texts: dict[str, None] = {}
    for prompt in prompts:
        texts[prompt.prompt] = None
        if prompt.uses_negative:
            texts[prompt.negative_prompt] = None
    return list(texts)


def _first_frame(vae: AutoencoderKLHunyuanVideo, prompt: SamplePrompt, *, device: torch.device) -> Tensor:
    picture = fit_to_bucket(read_image(Path(prompt.image_path or "")), (prompt.width, prompt.height))
    vae.to(device)
    latents = encode_picture(vae, torch.from_numpy(picture)).cpu() * LATENT_SCALE
    vae.to("cpu")
    return latents


def _give_memory_back() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
