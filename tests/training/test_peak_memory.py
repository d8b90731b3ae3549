"""The peak of memory that a training tells."""

from __future__ import annotations

import json
import subprocess
import sys

import torch

from backend.training.peak_memory import peak_memory

GROW = """
import json, torch
from backend.training.peak_memory import peak_memory

told = [peak_memory(torch.device("cpu"))]
large = torch.ones(64 * 2**20)  # 256 MiB
told.append(peak_memory(torch.device("cpu")))
del large
told.append(peak_memory(torch.device("cpu")))
print(json.dumps(told))
"""


def test_a_cpus_peak_is_that_of_the_process_and_stays():
    done = subprocess.run([sys.executable, "-c", GROW], check=True, capture_output=True, text=True)
    before, there, told = json.loads(done.stdout)  # of a process of its own: this one's peak may lie far above
    assert there["peak_bytes"] > before["peak_bytes"] + 128 * 2**20
    assert told["peak_bytes"] >= there["peak_bytes"] * 0.99
    assert told["kind"] == "cpu" and told["device"] and told["total_bytes"] > told["peak_bytes"]


def test_a_device_that_does_not_tell_has_none():
    assert peak_memory(torch.device("meta")) == {}
