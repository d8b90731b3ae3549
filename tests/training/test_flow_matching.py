from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.training.flow_matching import add_noise, loss_weights, micro_batch_generator

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "timesteps.safetensors")


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
