"""What accelerate's launcher is told: everything, so that no configuration of another program acts."""

from pathlib import Path

import pytest

from backend.config.configuration import Configuration
from backend.runs.training_job import launch_arguments


def arguments(**options):
    return launch_arguments(Path("run/config.toml"), Configuration.from_values(options))


def flag(found, name):
    return found[found.index(name) + 1]


def test_one_process_is_stated_with_all_that_a_default_could_change():
    found = arguments(mixed_precision="bf16", num_cpu_threads_per_process=3)
    stated = {
        "--num_processes": "1", "--num_machines": "1", "--machine_rank": "0", "--gpu_ids": "all",
        "--mixed_precision": "bf16", "--dynamo_backend": "no", "--dynamo_mode": "default",
        "--num_cpu_threads_per_process": "3",
    }  # fmt: skip
    assert {name: flag(found, name) for name in stated} == stated
    assert Path(flag(found, "--config_file")).name == "accelerate.yaml" and Path(flag(found, "--config_file")).is_file()
    assert "--multi_gpu" not in found and "--dynamo_use_dynamic" not in found
    assert found[-2:] == ["--config_file", str(Path("run/config.toml"))]


@pytest.mark.parametrize(("port", "expected"), [(None, "0"), (29777, "29777")])
def test_processes_of_one_machine_meet_at_a_free_port_unless_one_is_chosen(port, expected):
    found = arguments(num_processes=2, gpu_ids="0,1", main_process_port=port)
    assert "--multi_gpu" in found
    assert (flag(found, "--main_process_port"), flag(found, "--gpu_ids")) == (expected, "0,1")


def test_several_machines_know_where_to_meet():
    options = {"num_processes": 4, "num_machines": 2, "machine_rank": 1, "main_process_ip": "10.0.0.1", "seed": 1}
    found = arguments(**options)
    stated = {"--num_processes": "4", "--num_machines": "2", "--machine_rank": "1", "--main_process_ip": "10.0.0.1"}
    assert {name: flag(found, name) for name in stated} == stated
    assert flag(found, "--main_process_port") == "29500"


def test_what_accelerate_compiles_is_for_any_size():
    found = arguments(dynamo_backend="INDUCTOR", dynamo_mode="max-autotune")
    assert (flag(found, "--dynamo_backend"), flag(found, "--dynamo_mode")) == ("inductor", "max-autotune")
    assert "--dynamo_use_dynamic" in found
