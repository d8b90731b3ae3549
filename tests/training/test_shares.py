"""Which process computes which micro-batch."""

import pytest

from backend.plan.steps import count_steps
from backend.training.shares import Processes, Share, shares_of_step


def steps_of(batches, accumulation, processes):
    return count_steps(
        batches, accumulation=accumulation, max_train_steps=1, max_train_epochs=None, processes=processes
    )


def test_one_process_computes_all_in_order():
    steps = steps_of(5, accumulation=2, processes=1)
    assert [shares_of_step(position, steps, Processes()) for position in range(3)] == [
        [Share(0, True), Share(1, True)],
        [Share(2, True), Share(3, True)],
        [Share(4, True)],
    ]


@pytest.mark.parametrize(("batches", "accumulation", "processes"), [(7, 1, 2), (7, 2, 2), (5, 2, 3), (1, 1, 4)])
def test_processes_together_compute_what_one_does_and_each_as_often(batches, accumulation, processes):
    steps = steps_of(batches, accumulation, processes)
    alone = steps_of(batches, accumulation * processes, 1)
    for position in range(steps.steps_per_epoch):
        shares = [shares_of_step(position, steps, Processes(index, processes)) for index in range(processes)]
        counted = sorted(share.index for own in shares for share in own if share.counts)
        assert counted == [share.index for share in shares_of_step(position, alone, Processes())]
        assert len({len(own) for own in shares}) == 1
        assert max(share.index for own in shares for share in own) < batches
