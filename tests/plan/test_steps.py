"""How many steps and epochs a training has."""

import pytest

from backend.plan.steps import StepCount, count_steps


@pytest.mark.parametrize(
    ("batches", "accumulation", "max_steps", "max_epochs", "expected"),
    [
        (10, 1, 1600, None, StepCount(10, 10, 1600, 160, 1)),
        (10, 1, 1601, None, StepCount(10, 10, 1601, 161, 1)),
        (10, 4, 1600, None, StepCount(10, 3, 1600, 534, 4)),
        (10, 4, 1600, 2, StepCount(10, 3, 6, 2, 4)),
        (3, 8, 5, None, StepCount(3, 1, 5, 5, 8)),
        (1, 1, 1, 1, StepCount(1, 1, 1, 1, 1)),
    ],
)
def test_an_epoch_ends_with_a_step_of_what_is_left(batches, accumulation, max_steps, max_epochs, expected):
    steps = count_steps(batches, accumulation=accumulation, max_train_steps=max_steps, max_train_epochs=max_epochs)
    assert steps == expected


def test_without_a_batch_there_is_nothing_to_count():
    with pytest.raises(ValueError, match="0 batches"):
        count_steps(0, accumulation=1, max_train_steps=1, max_train_epochs=None)


def test_processes_count_as_accumulation():
    alone = count_steps(10, accumulation=6, max_train_steps=7, max_train_epochs=None)
    assert count_steps(10, accumulation=2, max_train_steps=7, max_train_epochs=None, processes=3) == alone
