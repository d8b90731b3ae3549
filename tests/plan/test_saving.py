"""What a training will write, counted before it starts, against what the trainer's saver writes."""

from __future__ import annotations

import pytest
import torch

from backend.plan.saving import NO_SAMPLES, SamplePlan, SavePlan, count_samplings, count_saved
from backend.plan.steps import StepCount
from backend.training.checkpoints import Saver

STEPS = StepCount(batches_per_epoch=10, steps_per_epoch=10, total_steps=95, epochs=10, micro_batches_per_step=1)


def saved_for_real(plan: SavePlan, folder) -> tuple[int, int]:
    """The most files and states that lie in the folder after a saving of a training of STEPS."""

    def write_state(path):
        path.mkdir()
        states.append(path)

    def tensors():
        files.append(1)
        return {"lora_unet_a.alpha": torch.tensor(1.0)}

    files, states, most = [], [], (0, 0)
    saver = Saver(folder, "x", torch.float32, plan, tensors, lambda step, epoch: {}, write_state)
    for step in range(1, STEPS.total_steps + 1):
        epoch, ends = -(-step // 10), step % 10 == 0 or step == STEPS.total_steps
        if plan.step_is_due(step):
            saver.save_step(step=step, epoch=epoch)
        if ends and plan.epoch_is_due(epoch, last=epoch == STEPS.epochs):
            saver.save_epoch(step=step, epoch=epoch)
    saver.save_final(step=STEPS.total_steps, epoch=STEPS.epochs)
    there = list(folder.iterdir())
    most = sum(path.is_file() for path in there), sum(path.is_dir() for path in there)
    assert (len(files), len(states)) == (count_saved(plan, STEPS).files, count_saved(plan, STEPS).states)
    return most


@pytest.mark.parametrize(
    "plan",
    [
        SavePlan(),
        SavePlan(save_every_n_steps=10),
        SavePlan(save_every_n_steps=10, save_last_n_steps=30, save_state=True, save_last_n_steps_state=10),
        SavePlan(save_every_n_epochs=1, save_last_n_epochs=2, save_state=True),
        SavePlan(save_every_n_epochs=3, save_every_n_steps=25, save_state_on_train_end=True),
        SavePlan(save_every_n_steps=95, save_every_n_epochs=10),
    ],
)
def test_the_plan_counts_what_the_saver_writes(plan, tmp_path):
    files, states = saved_for_real(plan, tmp_path)
    count = count_saved(plan, STEPS)
    assert files <= count.most_files <= files + 1  # one more for a moment, before an old one goes
    assert states <= count.most_states <= states + 1


def test_keeping_the_last_bounds_what_lies_there():
    count = count_saved(SavePlan(save_every_n_steps=1, save_last_n_steps=3), STEPS)
    assert (count.files, count.most_files) == (96, 5)


def test_samplings_at_a_step_and_the_end_of_its_epoch_are_one():
    assert count_samplings(SamplePlan(every_n_steps=10, every_n_epochs=1), STEPS) == 10  # 10, 20 ... 90, and 95
    assert count_samplings(SamplePlan(at_first=True, every_n_steps=50), STEPS) == 2
    assert count_samplings(NO_SAMPLES, STEPS) == 0
