"""Training of the demo's two text encoders on captions alone: `python -m demo_base text`.

The language model learns to go on with a caption, and both learn to tell what is in the scene from their features.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, LlamaConfig, LlamaForCausalLM

from backend.models.hunyuan_video.text_encoders import SKIPPED_LAYERS
from backend.models.hunyuan_video.tokenizers import (
    TEMPLATE_TOKENS,
    load_clip_tokenizer,
    load_llm_tokenizer,
    tokenize_for_clip,
    tokenize_for_llm,
)
from demo_base import vocabulary
from demo_base.captions import caption
from demo_base.long_training import Plan, train
from demo_base.scenes import BACKGROUNDS, COLOURS, MOTIONS, PLACES, SIZES, Scene, random_scene
from demo_base.shapes import BASE_SHAPES
from demo_base.tokenizers import clip_tokenizer_files, llama_tokenizer_files

LLAMA_CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 96,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "initializer_range": 0.1,
}
CLIP_CONFIG = {
    "architectures": ["CLIPTextModel"],
    "model_type": "clip_text_model",
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "max_position_embeddings": 77,
    "bos_token_id": 0,
    "eos_token_id": 2,  # as released; it means: pool at the highest id, the end token
    "pad_token_id": 1,
}
BATCH = 48
UNKNOWN = -100
"""The label of what a caption does not tell; no loss."""
CLASSES: dict[str, Sequence[str]] = {
    "shape": tuple(BASE_SHAPES),
    "colour": tuple(COLOURS),
    "size": tuple(SIZES),
    "motion": MOTIONS,
    "background": tuple(BACKGROUNDS),
    "place": ("", *PLACES),
    "other shape": ("", *BASE_SHAPES),
    "other colour": ("", *COLOURS),
}
"""What is asked of the features, and the possible answers."""


def train_text_encoders(folder: Path, *, steps: int, seed: int) -> None:
    """Train both, or go on; in the end the folders llama and clip lie in the folder, as the released models do."""
    torch.manual_seed(seed)
    write_tokenizers(folder)
    for name, make, write in (("llama", CaptionLlama, write_llama), ("clip", CaptionClip, write_clip)):
        module = make(folder / name)
        plan = Plan(steps=steps, learning_rate=2e-3, seed=seed, ema=0.99)
        optimizer = torch.optim.AdamW(module.parameters(), betas=(0.9, 0.99))
        train(module, module.losses, plan, optimizer=optimizer, state_file=folder / f"{name}.state")
        write(module, folder / name)


def write_tokenizers(folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json of both, in the folders llama and clip."""
    texts = vocabulary.texts()
    for name, files in (("llama", llama_tokenizer_files(texts)), ("clip", clip_tokenizer_files(texts))):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (folder / name / file).write_bytes(content)


class Questions(nn.Module):
    """A linear answer to each question about the scene."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(answers)) for name, answers in CLASSES.items()})

    def forward(self, features: Tensor, labels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The mean loss, and the share of right answers, of features (B, width)."""
        answers = {name: head(features) for name, head in self.heads.items()}
        losses = [F.cross_entropy(answers[name], labels[name], ignore_index=UNKNOWN) for name in CLASSES]
        right = [(answers[name].argmax(1) == labels[name])[labels[name] != UNKNOWN] for name in CLASSES]
        return {"questions": torch.stack(losses).nan_to_num().mean(), "right": torch.cat(right).float().mean()}


class CaptionLlama(nn.Module):
    """The language model with the questions put to what the pipeline takes from it, at the end of the caption."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.tokenizer = load_llm_tokenizer(folder)
        self.config = {**LLAMA_CONFIG, "vocab_size": self.tokenizer.get_vocab_size()}
        self.model = LlamaForCausalLM(LlamaConfig(**self.config))
        self.questions = Questions(LLAMA_CONFIG["hidden_size"])

    def losses(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        texts, labels = caption_batch(generator)
        ids, mask = tokenize_for_llm(self.tokenizer, texts)
        length = int(mask.sum(dim=1).max())
        ids, mask = ids[:, :length], mask[:, :length]
        output = self.model(ids, attention_mask=mask, output_hidden_states=True)
        following = ids[:, TEMPLATE_TOKENS:].masked_fill(mask[:, TEMPLATE_TOKENS:] == 0, UNKNOWN)
        next_word = F.cross_entropy(output.logits[:, TEMPLATE_TOKENS - 1 : -1].flatten(0, 1), following.flatten())
        states = output.hidden_states[-1 - SKIPPED_LAYERS]
        answers = self.questions(states[torch.arange(len(ids)), mask.sum(dim=1) - 1], labels)
        return {"loss": next_word + answers["questions"], "next word": next_word, **answers}


class CaptionClip(nn.Module):
    """The CLIP text model with the questions put to its pooled state."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.tokenizer = load_clip_tokenizer(folder)
        self.config = {**CLIP_CONFIG, "vocab_size": self.tokenizer.get_vocab_size()}
        self.model = CLIPTextModel(CLIPTextConfig(**self.config))
        self.questions = Questions(CLIP_CONFIG["hidden_size"])

    def losses(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        texts, labels = caption_batch(generator)
        ids, mask = tokenize_for_clip(self.tokenizer, texts)
        length = int(mask.sum(dim=1).max())
        pooled = self.model(ids[:, :length], attention_mask=mask[:, :length]).pooler_output
        answers = self.questions(pooled, labels)
        return {"loss": answers["questions"], **answers}


def caption_batch(generator: torch.Generator) -> tuple[list[str], dict[str, Tensor]]:
    """Captions, one in eight with an unusual word for its shape, and the answers to the questions about them."""
    chance = random.Random(torch.randint(2**62, (1,), generator=generator).item())
    unusual = vocabulary.unusual_words()
    texts, answers = [], []
    for _ in range(BATCH):
        scene, moves = random_scene(chance, held_out=chance.random() < 0.05), chance.random() < 0.75
        text, labels = caption(scene, chance, moves=moves), _labels(scene, moves=moves)
        if chance.random() < 0.125:
            text, labels["shape"] = text.replace(scene.figures[0].shape, chance.choice(unusual)), UNKNOWN
        texts.append(text)
        answers.append(labels)
    return texts, {name: torch.tensor([each[name] for each in answers]) for name in CLASSES}


def _labels(scene: Scene, *, moves: bool) -> dict[str, int]:
    first = scene.figures[0]
    alone = len(scene.figures) == 1
    values = {
        "shape": first.shape,
        "colour": first.colour,
        "size": first.size if alone else None,
        "motion": first.motion if moves else None,
        "background": scene.background,
        "place": scene.place,
        "other shape": "" if alone else scene.figures[1].shape,
        "other colour": "" if alone else scene.figures[1].colour,
    }
    return {name: UNKNOWN if value is None else CLASSES[name].index(value) for name, value in values.items()}


def write_llama(trained: CaptionLlama, folder: Path) -> None:
    """config.json and model.safetensors in bfloat16, under the released names."""
    _write(folder, trained.config, trained.model.state_dict())


def write_clip(trained: CaptionClip, folder: Path) -> None:
    """The same two files."""
    weights = trained.model.state_dict().items()
    released = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in weights}
    _write(folder, trained.config, {name: tensor for name, tensor in released.items() if "position_ids" not in name})


def _write(folder: Path, config: Mapping[str, object], weights: Mapping[str, Tensor]) -> None:
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    halves = {name: tensor.bfloat16().contiguous() for name, tensor in weights.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
