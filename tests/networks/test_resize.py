"""The nearest LoRA of lower rank."""

import pytest
import torch

from backend.networks.resize import fixed_rank, kept_energy, low_rank, resize


def lora(rank=6, rows=20, columns=14):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rank, columns, generator=generator), torch.randn(rows, rank, generator=generator)


def test_at_its_own_rank_nothing_changes():
    down, up = lora()
    new_down, new_up = resize(down, up, 0.5, fixed_rank(6))
    torch.testing.assert_close(new_up @ new_down, 0.5 * up @ down)


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_the_error_is_that_of_the_values_left_out(rank):
    down, up = lora()
    change = 0.5 * up @ down
    new_down, new_up = resize(down, up, 0.5, fixed_rank(rank))
    assert new_down.shape == (rank, 14) and new_up.shape == (20, rank)
    left_out = torch.linalg.svdvals(change)[rank:]
    torch.testing.assert_close((change - new_up @ new_down).norm(), left_out.norm())


def test_energy_decides_the_rank():
    down, up = lora()
    values = torch.linalg.svdvals(up @ down)
    energy = (values.square().cumsum(0) / values.square().sum())[:6]
    for rank in range(1, 6):
        new_down, _ = resize(down, up, 1.0, kept_energy(energy[rank - 1].item() * (1 - 1e-6)))
        assert len(new_down) == rank
    assert len(resize(down, up, 1.0, kept_energy(1.0))[0]) >= 6


def test_values_that_are_zero_take_no_rank():
    down, up = lora(rank=2)
    assert len(resize(down.repeat(3, 1), up.repeat(1, 3), 1.0, fixed_rank(6))[0]) == 2


@pytest.mark.parametrize("size", [40, 1500])  # exact, and by random projections
def test_a_difference_of_low_rank_is_found(size):
    generator = torch.Generator().manual_seed(1)
    difference = torch.randn(size, 3, generator=generator) @ torch.randn(3, size + 10, generator=generator)
    torch.manual_seed(0)
    down, up = low_rank(difference, fixed_rank(8), most=8)
    assert len(down) == 3
    assert (up @ down - difference).norm() < 1e-4 * difference.norm()
