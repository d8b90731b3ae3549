"""The transformer of the demo's base, and the corpus that it learns from."""

import pytest
import torch

from backend.models.hunyuan_video.checkpoint import load_transformer
from demo_base.corpus import CAPTIONS, Corpus, join_parts, read_corpus
from demo_base.transformer import SHAPE, make_transformer, velocity_loss, write_transformer


def part(value: float, *, lengths: tuple[int, ...]) -> list[dict[str, object]]:
    """A part of the corpus with one scene of one frame, whose captions have these lengths."""
    captions = [(torch.full((length, SHAPE.text_width), value), torch.zeros(SHAPE.pooled_width)) for length in lengths]
    scenes = {"frames": 1, "latents": torch.full((1, 16, 1, 8, 8), value), "captions": captions}
    nothing = {"frames": 0, "latents": torch.zeros(0), "captions": [(torch.zeros(1, 96), torch.zeros(64))]}
    return [scenes, nothing]


@pytest.fixture
def corpus() -> Corpus:
    return join_parts([part(1.0, lengths=(4, 5, 4)), part(2.0, lengths=(5, 5, 6))])


def test_captions_find_their_scene_after_parts_are_joined(corpus):
    assert corpus.latents[1].shape == (2, 16, 1, 8, 8)
    assert {key: len(each) for key, each in corpus.captions.items()} == {(1, 4): 2, (1, 5): 3, (1, 6): 1}
    for captions in corpus.captions.values():
        for scene, features in captions:
            assert features.states.mean() == corpus.latents[1][scene].mean()
    assert sum(map(len, corpus.captions.values())) == 2 * CAPTIONS


def test_a_corpus_that_was_not_made_is_missed(tmp_path):
    with pytest.raises(FileNotFoundError, match="make it first"):
        read_corpus(tmp_path)


def test_before_training_nothing_is_predicted_so_the_loss_is_that_of_the_velocity(corpus):
    torch.manual_seed(0)
    captions = [features for _, features in corpus.captions[1, 5]]
    with torch.no_grad():
        loss = velocity_loss(
            make_transformer(),
            torch.zeros(3, 16, 1, 8, 8),
            captions,
            sigmas=torch.full((3,), 0.5),
            timesteps=torch.full((3,), 501.0),
            generator=torch.Generator().manual_seed(0),
        )
    assert loss.item() == pytest.approx(1, abs=0.05)  # the mean square of noise


def test_the_file_loads_as_any_transformer_does(tmp_path):
    transformer = make_transformer()
    write_transformer(transformer.state_dict(), tmp_path / "transformer.safetensors")
    assert load_transformer(tmp_path / "transformer.safetensors").shape == SHAPE
