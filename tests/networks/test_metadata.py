"""The metadata of a checkpoint, against that of two runs of the reference."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from backend.errors import OptionError
from backend.networks.metadata import ModelSpec, TrainingRecord, build_metadata

GOLDEN = Path(__file__).parents[1] / "golden"
FINISHED_AT = 1_795_000_000.25

DATASET = {
    "resolution": [96, 64],
    "caption_extension": ".txt",
    "batch_size_per_device": 1,
    "num_repeats": 1,
    "enable_bucket": True,
    "bucket_no_upscale": False,
    "video_directory": "vid",
    "frame_extraction": "head",
    "frame_stride": 1,
    "frame_sample": 1,
    "target_frames": [9],
    "max_frames": 129,
    "source_fps": None,
    "has_control": False,
}

PLUS = TrainingRecord(
    session_id=4_000_000_000,
    training_started_at=1_794_999_000.5,
    output_name="plus",
    learning_rate=0.001,
    num_train_items=4,
    num_batches_per_epoch=4,
    num_epochs=3,
    gradient_checkpointing=False,
    gradient_checkpointing_cpu_offload=False,
    gradient_accumulation_steps=1,
    max_train_steps=10,
    lr_warmup_steps=0,
    lr_scheduler="constant",
    base_model_version="hunyuan_video",
    network_module="musubi_tuner.networks.lora",
    network_dim=4,
    network_alpha=4.0,
    network_dropout=None,
    mixed_precision="no",
    seed=42,
    training_comment=None,
    optimizer="torch.optim.adamw.AdamW",
    max_grad_norm=1.0,
    fp8_base=False,
    weighting_scheme="none",
    logit_mean=0.0,
    logit_std=1.0,
    mode_scale=1.29,
    guidance_scale=1.0,
    timestep_sampling="shift",
    sigmoid_scale=1.0,
    discrete_flow_shift=7.0,
    sd_model_name="x.safetensors",
    datasets=[DATASET],
    network_args={"loraplus_lr_ratio": "4"},
)

COSINE = replace(
    PLUS,
    output_name="cosine",
    learning_rate=0.002,
    lr_warmup_steps=3,
    lr_scheduler="cosine",
    network_alpha=1.0,
    optimizer="torch.optim.adamw.AdamW(weight_decay=0.1,betas=(0.9, 0.99))",
    max_grad_norm=0.5,
    weighting_scheme="sigma_sqrt",
    timestep_sampling="sigma",
    discrete_flow_shift=1.0,
    network_args=None,
)


def metadata_of(record: TrainingRecord = PLUS, **spec) -> dict[str, str]:
    return build_metadata(record, ModelSpec(**spec), steps=10, epoch=3, finished_at=FINISHED_AT)


@pytest.mark.parametrize(("run", "record"), [("plus", PLUS), ("cosine", COSINE)])
def test_keys_and_values_are_those_of_the_reference(run, record):
    golden = json.loads((GOLDEN / f"train_{run}_metadata.json").read_text("utf-8"))
    expected = {key: value for key, value in golden.items() if not key.startswith("sshs_")}
    metadata = metadata_of(record)
    assert metadata.keys() == expected.keys()
    varies = {key for key, value in expected.items() if value == "<varies>"}
    assert {key: metadata[key] for key in metadata.keys() - varies} == {
        key: expected[key] for key in expected.keys() - varies
    }


def test_times_are_unix_seconds_and_a_local_date_without_fractions():
    metadata = metadata_of()
    assert metadata["ss_session_id"] == "4000000000"
    assert metadata["ss_training_started_at"] == "1794999000.5"
    assert metadata["ss_training_finished_at"] == "1795000000.25"
    assert metadata["modelspec.date"] == datetime.fromtimestamp(1_795_000_000).isoformat()
    assert len(metadata["modelspec.date"]) == len("2026-11-17T21:06:40")


def test_the_vae_is_named_only_if_given():
    assert "ss_vae_name" not in metadata_of()
    assert metadata_of(replace(PLUS, vae_name="vae.pt"))["ss_vae_name"] == "vae.pt"


def test_no_network_arguments_and_an_empty_set_of_them_differ():
    assert "ss_network_args" not in metadata_of(COSINE)
    assert metadata_of(replace(PLUS, network_args={}))["ss_network_args"] == "{}"


def test_all_values_are_text():
    metadata = metadata_of(replace(PLUS, network_dim=None), min_timestep=1, max_timestep=2)
    assert {type(value) for value in metadata.values()} == {str}
    assert metadata["ss_network_dim"] == "None"


def test_names_outside_ascii_survive_in_the_description_of_the_datasets():
    metadata = metadata_of(replace(PLUS, datasets=[DATASET | {"video_directory": "動画"}]))
    assert json.loads(metadata["ss_datasets"])[0]["video_directory"] == "動画"


def test_what_the_user_says_about_the_model_is_written():
    spec = {"title": "A", "author": "B", "description": "C", "license": "D", "tags": "E", "architecture": "mine"}
    metadata = metadata_of(**spec)
    expected = spec | {"architecture": "mine/lora"}
    assert {key: metadata[f"modelspec.{key}"] for key in expected} == expected


def test_without_a_title_the_output_name_is_one_and_without_that_the_time():
    assert metadata_of()["modelspec.title"] == "plus"
    assert metadata_of(replace(PLUS, output_name=""))["modelspec.title"] == "LoRA@1795000000.25"


@pytest.mark.parametrize(("given", "written"), [("1280,720", "1280x720"), ("960", "960x960"), (" 64 , 32 ", "64x32")])
def test_a_resolution_is_a_width_and_a_height_or_one_number(given, written):
    assert metadata_of(resolution=given)["modelspec.resolution"] == written


@pytest.mark.parametrize("given", ["", "1280x720", "1,2,3", "a", "-1", "1.5,2"])
def test_another_resolution_is_refused(given):
    with pytest.raises(OptionError) as refusal:
        metadata_of(resolution=given)
    assert str(refusal.value) == (
        f'metadata_reso is "{given}", but has to be a width and a height, or one number (for example "1280,720")'
    )


@pytest.mark.parametrize(
    ("given", "written"),
    [({"min_timestep": 200}, "200,1000"), ({"max_timestep": 500}, "0,500"), ({"min_timestep": 0}, "0,1000")],
)
def test_a_limited_range_of_timesteps_is_written(given, written):
    assert metadata_of(**given)["modelspec.timestep_range"] == written


def test_the_full_range_of_timesteps_is_not_written():
    assert "modelspec.timestep_range" not in metadata_of()
