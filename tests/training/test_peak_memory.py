"""The peak of memory that a training tells."""

from __future__ import annotations

import torch

from backend.training.peak_memory import peak_memory


def test_a_cpus_peak_is_that_of_the_process_and_stays():
    before = peak_memory(torch.device("cpu"))["peak_bytes"]
    large = torch.ones(64 * 2**20)  # 256 MiB
    there = peak_memory(torch.device("cpu"))["peak_bytes"]
    del large
    told = peak_memory(torch.device("cpu"))
    assert there > before + 128 * 2**20
    assert told["peak_bytes"] >= there * 0.99
    assert told["kind"] == "cpu" and told["device"] and told["total_bytes"] > told["peak_bytes"]


def test_a_device_that_does_not_tell_has_none():
    assert peak_memory(torch.device("meta")) == {}
