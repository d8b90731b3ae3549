"""The most memory that a training has had of its device so far."""

from __future__ import annotations

import os
import platform
from typing import Any

import psutil
import torch


def peak_memory(device: torch.device) -> dict[str, Any]:
    """{"kind", "device": its name, "total_bytes", "peak_bytes"}; empty for a device that does not tell.

    The peak is of CUDA what torch had allocated, of a CPU the whole process.
    """
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        peak = torch.cuda.max_memory_allocated(device)
        return {"kind": "cuda", "device": properties.name, "total_bytes": properties.total_memory, "peak_bytes": peak}
    if device.type == "cpu":
        name = platform.processor() or platform.machine()
        total = psutil.virtual_memory().total
        return {"kind": "cpu", "device": name, "total_bytes": total, "peak_bytes": _peak_of_process()}
    return {}


def _peak_of_process() -> int:
    """Linux and Windows keep a peak; elsewhere what there is now stands for it."""
    memory = psutil.Process(os.getpid()).memory_info()
    if hasattr(memory, "peak_wset"):
        return int(memory.peak_wset)
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 (a file of the kernel)
            kib = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return int(memory.rss)
    return int(kib) * 1024
