"""From noise to latents: the schedule and the integration of the reference, guidance, first frames."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.training.sampling import (
    PromptText,
    SampleSettings,
    SampleSize,
    draw_noise,
    integrate,
    sample_latents,
    sigmas,
)

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = ["20_7.0", "30_1.0", "7_14.5"]


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN / "timesteps.safetensors")


def text(value=0.0):
    return PromptText(torch.full((1, 3, 8), value), torch.ones(1, 3, dtype=torch.int64), torch.full((1, 4), value))


class Linear(torch.nn.Module):
    """Stands where a transformer would: velocity = text x 2 - a tenth of the latents; keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, x, timestep, *, text_states, text_mask, pooled_text, guidance):
        self.calls.append((x, timestep.item(), guidance.item(), text_states.mean().item()))
        return 2 * text_states.mean() - 0.1 * x[:, :16]


@pytest.mark.parametrize("case", CASES)
def test_the_noise_levels_are_those_of_the_reference(golden, case):
    steps, shift = case.split("_")
    found = torch.tensor(sigmas(int(steps), flow_shift=float(shift)))
    torch.testing.assert_close(found, golden[f"infer.{case}.sigmas"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_integrating_a_known_velocity_ends_where_the_reference_ends(golden, case):
    steps, shift = case.split("_")
    levels = sigmas(int(steps), flow_shift=float(shift))
    found = integrate(lambda x, sigma: 0.3 * x - 0.1, golden[f"infer.{case}.x0"], levels)
    torch.testing.assert_close(found, golden[f"infer.{case}.x_end"], rtol=0, atol=1e-5)


def test_the_first_frames_of_a_long_clip_begin_with_the_noise_of_a_short_one():
    short, long = SampleSize(64, 48, 5), SampleSize(64, 48, 13)
    first, second = (draw_noise(size, generator=torch.Generator().manual_seed(3)) for size in (short, long))
    assert first.shape == (1, 16, 2, 6, 8) and second.shape == (1, 16, 4, 6, 8)
    assert torch.equal(first, second[:, :, :2])


def test_the_transformer_is_told_timesteps_and_a_thousand_times_the_guidance():
    model = Linear()
    settings = SampleSettings(steps=2, flow_shift=1.0, guidance=6.0)
    told = []
    sample_latents(
        model, text(), SampleSize(16, 16, 1), settings=settings, generator=torch.Generator().manual_seed(0),
        on_step=told.append,
    )  # fmt: skip
    assert [call[1:3] for call in model.calls] == [(1000.0, 6000.0), (500.0, 6000.0)]
    assert told == [1, 2]


def test_the_result_is_noise_that_followed_the_velocity_unscaled():
    size, settings = SampleSize(16, 16, 1), SampleSettings(steps=1, flow_shift=1.0)
    noise = draw_noise(size, generator=torch.Generator().manual_seed(0))
    found = sample_latents(Linear(), text(0.5), size, settings=settings, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, (noise - (1.0 - 0.1 * noise)) / 0.476986)


@pytest.mark.parametrize(("cfg", "calls"), [(1.0, 1), (3.0, 2)])
def test_a_negative_prompt_is_gone_away_from(cfg, calls):
    model, size = Linear(), SampleSize(16, 16, 1)
    settings = SampleSettings(steps=1, flow_shift=1.0, cfg=cfg)
    noise = draw_noise(size, generator=torch.Generator().manual_seed(0))
    found = sample_latents(
        model, text(0.5), size, settings=settings, generator=torch.Generator().manual_seed(0), negative=text(0.25)
    )
    assert len(model.calls) == calls
    velocity = (0.5 + cfg * (1.0 - 0.5) if calls == 2 else 1.0) - 0.1 * noise
    torch.testing.assert_close(found, (noise - velocity) / 0.476986)


def test_a_first_frame_goes_in_beside_the_latents():
    model = Linear()
    frame = torch.randn(1, 16, 1, 2, 2, generator=torch.Generator().manual_seed(4))
    sample_latents(
        model, text(), SampleSize(16, 16, 9), settings=SampleSettings(steps=1),
        generator=torch.Generator().manual_seed(0), first_frame=frame,
    )  # fmt: skip
    ((seen, *_),) = model.calls
    assert seen.shape == (1, 32, 3, 2, 2)
    assert torch.equal(seen[:, 16:, :1], frame) and not seen[:, 16:, 1:].any()
