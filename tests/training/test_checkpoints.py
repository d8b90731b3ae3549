"""When a checkpoint is due, and what its file is called."""

import pytest
import torch

from backend.networks.files import load_lora
from backend.training.checkpoints import SAVE_DTYPES, CheckpointSaver

TENSORS = {
    "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": torch.ones(2, 4),
    "lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight": torch.zeros(12, 2),
    "lora_unet_double_blocks_0_img_attn_qkv.alpha": torch.tensor(2.0),
}


def saver(folder, *, every_n_steps=None, every_n_epochs=None, dtype=torch.float32):
    return CheckpointSaver(
        folder=folder,
        name="my lora",
        dtype=dtype,
        every_n_steps=every_n_steps,
        every_n_epochs=every_n_epochs,
        metadata=lambda step, epoch: {"ss_steps": str(step), "ss_epoch": str(epoch)},
    )


def test_names_and_metadata_are_those_of_musubi_tuner(tmp_path):
    checkpoints = saver(tmp_path / "new")
    paths = [
        checkpoints.save_step(TENSORS, step=100, epoch=3),
        checkpoints.save_epoch(TENSORS, step=120, epoch=3),
        checkpoints.save_final(TENSORS, step=160, epoch=4),
    ]
    assert [path.name for path in paths] == [
        "my lora-step00000100.safetensors",
        "my lora-000003.safetensors",
        "my lora.safetensors",
    ]
    told = [load_lora(path)[1] for path in paths]
    assert [(metadata["ss_steps"], metadata["ss_epoch"]) for metadata in told] == [
        ("100", "2"),  # of a step's checkpoint: the epochs completed
        ("120", "3"),
        ("160", "4"),
    ]


@pytest.mark.parametrize(("precision", "dtype"), SAVE_DTYPES.items())
def test_tensors_are_saved_in_the_asked_precision(tmp_path, precision, dtype):
    path = saver(tmp_path, dtype=SAVE_DTYPES[precision]).save_final(TENSORS, step=1, epoch=1)
    tensors, _ = load_lora(path)
    assert set(tensors) == set(TENSORS)
    assert {tensor.dtype for tensor in tensors.values()} == {dtype}


def test_steps_are_due_at_multiples_the_last_one_included(tmp_path):
    checkpoints = saver(tmp_path, every_n_steps=4)
    assert [step for step in range(1, 13) if checkpoints.step_is_due(step)] == [4, 8, 12]


def test_epochs_are_due_at_multiples_but_the_last_one_has_only_the_final_file(tmp_path):
    checkpoints = saver(tmp_path, every_n_epochs=2)
    assert [epoch for epoch in range(1, 7) if checkpoints.epoch_is_due(epoch, last=epoch == 6)] == [2, 4]


def test_without_an_interval_nothing_is_due(tmp_path):
    checkpoints = saver(tmp_path)
    assert not checkpoints.step_is_due(100) and not checkpoints.epoch_is_due(2, last=False)
