"""The text encoders of the demo's base, before any training."""

import pytest
import torch

from backend.models.hunyuan_video.text_encoders import encode_clip, encode_llm, load_clip, load_llm
from demo_base.text_encoders import (
    CLASSES,
    CLIP_CONFIG,
    LLAMA_CONFIG,
    CaptionClip,
    CaptionLlama,
    caption_batch,
    write_clip,
    write_llama,
    write_tokenizers,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    write_tokenizers(folder)
    torch.manual_seed(0)
    write_llama(CaptionLlama(folder / "llama"), folder / "llama")
    write_clip(CaptionClip(folder / "clip"), folder / "clip")
    return folder


def test_both_load_as_the_released_ones_do(folder):
    settings = {"device": "cpu", "dtype": torch.float32}
    states, mask = encode_llm(load_llm(folder / "llama", **settings), ["a red circle", "a woven heart"])
    pooled, _ = encode_clip(load_clip(folder / "clip", **settings), ["a red circle", "a woven heart"])
    assert states.shape == (2, 256, LLAMA_CONFIG["hidden_size"])
    assert mask.sum(dim=1).tolist() == [4, 4]  # a token a word, and the end of the turn
    assert pooled.shape == (2, CLIP_CONFIG["hidden_size"])


def test_the_losses_are_finite_and_reach_every_weight_that_is_kept(folder):
    for kind, name in ((CaptionLlama, "llama"), (CaptionClip, "clip")):
        module = kind(folder / name)
        losses = module.losses(torch.Generator().manual_seed(0))
        next(iter(losses.values())).backward()
        assert all(torch.isfinite(value) for value in losses.values())
        without = [key for key, weight in module.model.named_parameters() if weight.grad is None]
        assert without == []


def test_answers_fit_the_captions():
    texts, labels = caption_batch(torch.Generator().manual_seed(0))
    assert all(CLASSES["colour"][label] in text for text, label in zip(texts, labels["colour"], strict=True))
    shapes = zip(texts, labels["shape"].tolist(), strict=True)
    assert all(CLASSES["shape"][label] in text for text, label in shapes if label >= 0)
    assert (labels["shape"] < 0).any()  # an unusual word
