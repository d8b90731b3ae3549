"""The long training of the demo's base: it can be cut off, and its optimizer finds its way."""

import pytest
import torch
from torch import nn

from demo_base.long_training import Plan, mean_weights, train
from demo_base.muon import Muon, orthogonal


def problem(plan: Plan):
    """A linear module and the loss of finding a fixed matrix from noisy samples."""
    torch.manual_seed(0)
    module, wanted = nn.Linear(6, 4), torch.randn(4, 6)

    def loss(generator: torch.Generator):
        inputs = torch.randn(16, 6, generator=generator)
        return {"loss": (module(inputs) - inputs @ wanted.T).square().mean()}

    return module, loss, Muon(module.parameters(), lr=plan.learning_rate)


def run(state_file, steps: int, *, stop_after: int | None = None) -> tuple[nn.Module, float]:
    plan = Plan(steps=steps, learning_rate=0.05, seed=3, warmup=10, ema=0.9, save_every_s=0)
    module, loss, optimizer = problem(plan)
    count = 0

    def counted(generator: torch.Generator):
        nonlocal count
        if count == stop_after:
            raise InterruptedError
        count += 1
        return loss(generator)

    train(module, counted, plan, optimizer=optimizer, state_file=state_file)
    return module, loss(torch.Generator().manual_seed(99))["loss"].item()


def test_the_optimizer_and_the_falling_rate_find_a_matrix(tmp_path):
    module, loss = run(tmp_path / "state", 300)
    assert loss < 0.01
    assert all(torch.equal(module.state_dict()[name], each) for name, each in mean_weights(tmp_path / "state").items())


def test_a_training_that_was_cut_off_gives_what_an_uncut_one_gives(tmp_path):
    uncut, _ = run(tmp_path / "uncut", 40)
    with pytest.raises(InterruptedError):
        run(tmp_path / "cut", 40, stop_after=17)
    resumed, _ = run(tmp_path / "cut", 40)
    for name, weight in uncut.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], weight, atol=0, rtol=0)


def test_the_rate_rises_stays_and_falls_to_0():
    plan = Plan(steps=100, learning_rate=1.0, seed=0, warmup=10, decay=0.2)
    rates = [plan.rate(step) for step in (0, 9, 50, 80, 90, 100)]
    assert rates == pytest.approx([0.1, 1, 1, 1, 0.5, 0])


@pytest.mark.parametrize("size", [(8, 32), (32, 8), (16, 16)])
def test_an_orthogonal_matrix_turns_by_the_same_amount_in_all_directions(size):
    matrix = torch.randn(size, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrix).float())
    assert values.min() > 0.5 and values.max() < 1.5
