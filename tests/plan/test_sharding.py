"""What of accelerate's configuration files acts here."""

import pytest

from backend.errors import OptionError
from backend.plan.sharding import Sharding, read_sharding


def read(folder, text):
    path = folder / "accelerate.yaml"
    path.write_text(text, encoding="utf-8")
    return read_sharding(path)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("{}", Sharding()),
        ("{fsdp_version: 2, fsdp_reshard_after_forward: false}", Sharding(reshard=False)),
        ("{fsdp_offload_params: true}", Sharding(offload=True)),
        ("{fsdp_sharding_strategy: FULL_SHARD}", Sharding()),
        ("{fsdp_version: 1, fsdp_sharding_strategy: SHARD_GRAD_OP}", Sharding(reshard=False)),
        ("{fsdp_sharding_strategy: 2}", Sharding(reshard=False)),
    ],
)
def test_the_settings_of_fsdp_are_read(tmp_path, settings, expected):
    assert read(tmp_path, f"distributed_type: FSDP\nnum_processes: 2\nfsdp_config: {settings}\n") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("distributed_type: MULTI_GPU\n", r"distributed_type is MULTI_GPU \(wanted FSDP"),
        ("distributed_type: FSDP\n", "distributed_type is FSDP"),
        ("distributed_type: DEEPSPEED\ndeepspeed_config: {zero_stage: 2}\n", "asks for DeepSpeed"),
        ("- a\n- b\n", "holds no settings"),
        ("a: [\n", "cannot be read"),
    ],
)
def test_a_file_without_settings_of_fsdp_is_refused(tmp_path, text, message):
    with pytest.raises(OptionError, match=message):
        read(tmp_path, text)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(OptionError, match="there is no such file"):
        read_sharding(tmp_path / "nothing.yaml")
