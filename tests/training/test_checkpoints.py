"""What is saved when, under which name, and which older files go."""

import pytest
import torch

from backend.networks.files import load_lora
from backend.plan.saving import SavePlan
from backend.training.checkpoints import SAVE_DTYPES, Saver

TENSORS = {
    "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": torch.ones(2, 4),
    "lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight": torch.zeros(12, 2),
    "lora_unet_double_blocks_0_img_attn_qkv.alpha": torch.tensor(2.0),
}


def write_state(folder):
    folder.mkdir()
    (folder / "part").touch()


def saver(folder, *, dtype=torch.float32, **plan):
    return Saver(
        folder=folder,
        name="my lora",
        dtype=dtype,
        plan=SavePlan(**plan),
        tensors=lambda: TENSORS,
        metadata=lambda step, epoch: {"ss_steps": str(step), "ss_epoch": str(epoch)},
        write_state=write_state,
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_names_and_metadata_are_those_of_musubi_tuner(tmp_path):
    checkpoints = saver(tmp_path / "new")
    checkpoints.save_step(step=100, epoch=3)
    checkpoints.save_epoch(step=120, epoch=3)
    assert checkpoints.save_final(step=160, epoch=4) == checkpoints.saved[-1]
    assert [path.name for path in checkpoints.saved] == [
        "my lora-step00000100.safetensors",
        "my lora-000003.safetensors",
        "my lora.safetensors",
    ]
    told = [load_lora(path)[1] for path in checkpoints.saved]
    assert [(metadata["ss_steps"], metadata["ss_epoch"]) for metadata in told] == [
        ("100", "2"),  # of a step's checkpoint: the epochs completed
        ("120", "3"),
        ("160", "4"),
    ]


@pytest.mark.parametrize(("precision", "dtype"), SAVE_DTYPES.items())
def test_tensors_are_saved_in_the_asked_precision(tmp_path, precision, dtype):
    path = saver(tmp_path, dtype=SAVE_DTYPES[precision]).save_final(step=1, epoch=1)
    tensors, _ = load_lora(path)
    assert set(tensors) == set(TENSORS)
    assert {tensor.dtype for tensor in tensors.values()} == {dtype}


def test_steps_are_due_at_multiples_the_last_one_included():
    plan = SavePlan(save_every_n_steps=4)
    assert [step for step in range(1, 13) if plan.step_is_due(step)] == [4, 8, 12]


def test_epochs_are_due_at_multiples_but_the_last_one_has_only_the_final_file():
    plan = SavePlan(save_every_n_epochs=2)
    assert [epoch for epoch in range(1, 7) if plan.epoch_is_due(epoch, last=epoch == 6)] == [2, 4]


def test_without_an_interval_nothing_is_due():
    assert not SavePlan().step_is_due(100) and not SavePlan().epoch_is_due(2, last=False)


def test_the_last_n_steps_are_kept_as_musubi_tuner_keeps_them(tmp_path):
    checkpoints = saver(tmp_path, save_every_n_steps=10, save_last_n_steps=30)
    for step in range(10, 60, 10):
        checkpoints.save_step(step=step, epoch=1)
    assert names(tmp_path) == [f"my lora-step000000{step}.safetensors" for step in (20, 30, 40, 50)]
    assert [path.name for path in checkpoints.saved] == names(tmp_path)


def test_the_last_n_epochs_are_files_and_states_have_a_number_of_their_own(tmp_path):
    plan = {"save_every_n_epochs": 2, "save_last_n_epochs": 2, "save_last_n_epochs_state": 1, "save_state": True}
    checkpoints = saver(tmp_path, **plan)
    for epoch in (2, 4, 6):
        checkpoints.save_epoch(step=epoch, epoch=epoch)
    assert names(tmp_path) == ["my lora-000004.safetensors", "my lora-000006-state", "my lora-000006.safetensors"]


def test_states_follow_the_rule_of_their_files_where_they_have_none(tmp_path):
    checkpoints = saver(tmp_path, save_every_n_steps=1, save_last_n_steps=1, save_state=True)
    for step in (1, 2, 3):
        checkpoints.save_step(step=step, epoch=1)
    assert names(tmp_path) == [
        f"my lora-step0000000{step}{end}" for step in (2, 3) for end in ("-state", ".safetensors")
    ]


@pytest.mark.parametrize("option", ["save_state", "save_state_on_train_end"])
def test_the_end_has_a_state_where_one_is_wanted(tmp_path, option):
    saver(tmp_path, **{option: True}).save_final(step=1, epoch=1)
    assert names(tmp_path) == ["my lora-state", "my lora.safetensors"]


def test_a_training_that_was_stopped_leaves_its_state(tmp_path):
    saver(tmp_path).save_stopped(step=7, epoch=1)
    assert names(tmp_path) == ["my lora-step00000007-state", "my lora-step00000007.safetensors"]
