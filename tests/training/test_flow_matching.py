import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.training.flow_matching import (
    NoiseSampling,
    add_noise,
    continuous_levels,
    draw_noise_levels,
    loss_weights,
    micro_batch_generator,
    sigmas_of_normal,
)

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "timesteps.safetensors")

MAPS = {
    "sigmoid": NoiseSampling("sigmoid"),
    "sigmoid_s0.5": NoiseSampling("sigmoid", sigmoid_scale=0.5),
    "sigmoid_s2": NoiseSampling("sigmoid", sigmoid_scale=2.0),
    "shift_1": NoiseSampling("shift", 1.0),
    "shift_3": NoiseSampling("shift", 3.0),
    "shift_7": NoiseSampling("shift", 7.0),
    "shift_14.5": NoiseSampling("shift", 14.5),
    "shift_7_s0.5": NoiseSampling("shift", 7.0, 0.5),
}


def normal_of(uniform: torch.Tensor) -> torch.Tensor:
    """The inverse of the normal distribution, by which the reference turns uniform numbers into normal ones."""
    return math.sqrt(2) * torch.erfinv(2 * uniform.clamp(1e-7, 1 - 1e-7) - 1)


@pytest.mark.parametrize("name", MAPS)
def test_noise_levels_follow_from_normal_numbers_as_in_the_reference(name):
    levels = continuous_levels(sigmas_of_normal(normal_of(GOLDEN["u"]), MAPS[name]))
    torch.testing.assert_close(levels.sigmas, GOLDEN[f"map.{name}.t"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(levels.timesteps, GOLDEN[f"map.{name}.timestep"], rtol=1e-5, atol=1e-3)


def test_uniform_levels_are_the_uniform_numbers():
    levels = continuous_levels(GOLDEN["u"])
    torch.testing.assert_close(levels.timesteps, GOLDEN["map.uniform.timestep"], rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("seed", [0, 1234])
@pytest.mark.parametrize(
    ("name", "sampling"),
    [
        ("sigma", NoiseSampling("sigma")),
        ("uniform", NoiseSampling("uniform")),
        ("sigmoid", NoiseSampling("sigmoid")),
        ("shift_7", NoiseSampling("shift", 7.0)),
    ],
)
def test_a_seed_draws_the_levels_that_the_reference_draws(name, sampling, seed):
    levels = draw_noise_levels(6, sampling, generator=torch.Generator().manual_seed(seed))
    noisy = add_noise(GOLDEN["seeded.latents"], GOLDEN["seeded.noise"], levels.sigmas)
    torch.testing.assert_close(levels.timesteps, GOLDEN[f"seeded.{name}.{seed}.timestep"].float(), rtol=1e-6, atol=1e-3)
    torch.testing.assert_close(noisy, GOLDEN[f"seeded.{name}.{seed}.noisy"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("grid", ["grid", "frac"])
@pytest.mark.parametrize("scheme", ["none", "sigma_sqrt", "cosmap"])
def test_loss_weights_are_those_of_the_reference(scheme, grid):
    key = f"weight.{scheme}.{grid}.float32"
    weights = loss_weights(GOLDEN[f"weight.timesteps.{grid}"], scheme)
    wanted = GOLDEN[key].flatten() if key in GOLDEN else torch.ones_like(weights)
    torch.testing.assert_close(weights, wanted.float(), rtol=1e-5, atol=0)


def test_batches_of_different_size_are_refused():
    with pytest.raises(ValueError, match="2 latents, 2 noises and 1 sigmas"):
        add_noise(torch.zeros(2, 1, 1, 1, 1), torch.zeros(2, 1, 1, 1, 1), torch.zeros(1))


def test_the_random_numbers_of_a_micro_batch_follow_from_seed_and_number_alone():
    first = torch.randn(4, generator=micro_batch_generator(7, 3))
    assert torch.equal(first, torch.randn(4, generator=micro_batch_generator(7, 3)))
    assert not torch.equal(first, torch.randn(4, generator=micro_batch_generator(7, 4)))
    assert not torch.equal(first, torch.randn(4, generator=micro_batch_generator(8, 3)))
