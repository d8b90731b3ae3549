"""Samples follow the flow from noise to latents."""

import pytest
import torch
from torch import nn

from backend.models.hunyuan_video.latent_scale import LATENT_SCALE
from backend.training.sampling import PromptText, SampleSettings, SampleSize, draw_noise, sample_latents, sigmas

SIZE = SampleSize(width=32, height=16, frames=5)


class StraightFlow(nn.Module):
    """A transformer that knows the one picture of all data, the value `goal`, and how it was called.

    With text of value v the goal is v times as high.
    """

    def __init__(self, goal: float) -> None:
        super().__init__()
        self.goal = goal
        self.calls: list[tuple[float, float]] = []

    def forward(self, x, timestep, *, text_states, text_mask, pooled_text, guidance):
        self.calls.append((timestep.item(), guidance.item()))
        return (x - self.goal * pooled_text.mean()) / (timestep / 1000)


def text(value: float = 1.0) -> PromptText:
    return PromptText(torch.zeros(1, 3, 8), torch.ones(1, 3), torch.full((1, 4), value))


def sample(flow: nn.Module, *, seed: int = 0, negative: PromptText | None = None, **settings) -> torch.Tensor:
    return sample_latents(
        flow,
        text(),
        SIZE,
        settings=SampleSettings(**settings),
        generator=torch.Generator().manual_seed(seed),
        negative=negative,
    )


@pytest.mark.parametrize("steps", [1, 7])
def test_a_straight_flow_arrives_at_its_goal_in_any_number_of_steps(steps):
    latents = sample(StraightFlow(goal=0.5), steps=steps)
    assert latents.shape == (1, 16, 2, 2, 4)
    torch.testing.assert_close(latents * LATENT_SCALE, torch.full_like(latents, 0.5), atol=1e-5, rtol=0)


def test_the_transformer_is_told_1000_sigma_and_1000_times_the_guidance():
    flow = StraightFlow(goal=0)
    sample(flow, steps=4, flow_shift=3.0, guidance=6.0)
    timesteps, guidances = zip(*flow.calls, strict=True)
    assert timesteps == pytest.approx([1000, 900, 750, 500])
    assert set(guidances) == {6000.0}


def test_noise_levels_fall_from_1_to_0_by_the_shift():
    assert sigmas(4, flow_shift=1.0) == [1, 0.75, 0.5, 0.25, 0]
    assert sigmas(4, flow_shift=3.0) == pytest.approx([1, 0.9, 0.75, 0.5, 0])


def test_the_first_frames_of_a_longer_clip_are_the_same_noise():
    short, long = (
        draw_noise(SampleSize(32, 16, frames), generator=torch.Generator().manual_seed(3)) for frames in (5, 13)
    )
    assert long.shape == (1, 16, 4, 2, 4)
    assert torch.equal(long[:, :, :2], short)


def test_a_seed_gives_its_own_sample():
    class Damping(StraightFlow):
        def forward(self, x, timestep, **others):
            return x

    assert torch.equal(sample(Damping(0), seed=1), sample(Damping(0), seed=1))
    assert not torch.equal(sample(Damping(0), seed=1), sample(Damping(0), seed=2))


def test_cfg_goes_beyond_the_prompt_away_from_the_negative_one():
    flow = StraightFlow(goal=1.0)
    latents = sample(flow, steps=3, cfg=4.0, negative=text(0.5))
    torch.testing.assert_close(latents * LATENT_SCALE, torch.full_like(latents, 0.5 + 4 * 0.5), atol=1e-4, rtol=0)
    assert len(flow.calls) == 6


def test_cfg_of_1_asks_the_transformer_once_a_step():
    flow = StraightFlow(goal=1.0)
    sample(flow, steps=3, cfg=1.0, negative=text(0.5))
    assert len(flow.calls) == 3


def test_each_finished_step_is_told():
    done = []
    sample_latents(
        StraightFlow(0),
        text(),
        SIZE,
        settings=SampleSettings(steps=3),
        generator=torch.Generator().manual_seed(0),
        on_step=done.append,
    )
    assert done == [1, 2, 3]
