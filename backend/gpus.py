"""The NVIDIA GPUs of this machine as their driver describes them, through nvidia-ml-py: the one place that asks it."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class GpuReading:
    """One GPU now. utilisation: percent; temperature: degrees Celsius; power: watts; memory: bytes.

    run_bytes: memory of the run's processes. None: the driver does not tell it.
    """

    name: str
    utilisation: int | None
    temperature: int | None
    power: float | None
    memory_used: int | None
    memory_total: int | None
    run_bytes: int | None


class Gpus:
    """Reads the GPUs. missing: why there are none to read, "" otherwise: no_library, no_driver or no_gpu."""

    def __init__(self, find_library: Callable[[], ModuleType] = lambda: importlib.import_module("pynvml")) -> None:
        self._devices: list[object] = []
        try:
            self._nvml = find_library()
        except ImportError:
            self.missing = "no_library"
            return
        try:
            self._nvml.nvmlInit()
            self._devices = [
                self._nvml.nvmlDeviceGetHandleByIndex(index) for index in range(self._nvml.nvmlDeviceGetCount())
            ]
        except self._nvml.NVMLError:
            self.missing = "no_driver"
            return
        self.missing = "" if self._devices else "no_gpu"

    def read(self, pids: Collection[int]) -> list[GpuReading]:
        """Each GPU in the driver's order. pids: the processes of the run."""
        return [self._read(device, pids) for device in self._devices]

    def first(self) -> tuple[str, int] | None:
        """Name and bytes of the first GPU, None where there is none or the driver does not tell its memory."""
        gpu = next(iter(self.read(())), None)
        return (gpu.name, gpu.memory_total) if gpu and gpu.memory_total else None

    def driver_version(self) -> str | None:
        """The version of the driver, None where there is none, or no library to ask it."""
        return (
            None if self.missing in ("no_library", "no_driver") else self._text(self._nvml.nvmlSystemGetDriverVersion)
        )

    def _read(self, device: object, pids: Collection[int]) -> GpuReading:
        nvml = self._nvml
        rates = self._told(lambda: nvml.nvmlDeviceGetUtilizationRates(device))
        memory = self._told(lambda: nvml.nvmlDeviceGetMemoryInfo(device))
        milliwatts = self._told(lambda: nvml.nvmlDeviceGetPowerUsage(device))
        processes = self._told(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(device))
        own = [process.usedGpuMemory or 0 for process in processes or () if process.pid in pids]
        return GpuReading(
            name=self._text(lambda: nvml.nvmlDeviceGetName(device)) or "GPU",
            utilisation=rates.gpu if rates else None,
            temperature=self._told(lambda: nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU)),
            power=milliwatts / 1000 if milliwatts is not None else None,
            memory_used=memory.used if memory else None,
            memory_total=memory.total if memory else None,
            run_bytes=sum(own) if processes is not None else None,
        )

    def _text(self, ask: Callable[[], str | bytes]) -> str | None:
        told = self._told(ask)
        return told.decode(errors="replace") if isinstance(told, bytes) else told  # bytes before version 11.515

    def _told(self, ask: Callable[[], T]) -> T | None:
        """The answer; None where this GPU or driver has none, as many laptops tell no power."""
        try:
            return ask()
        except self._nvml.NVMLError:
            return None


@functools.cache
def first_gpu() -> tuple[str, int] | None:
    """The first GPU, see `Gpus.first`; it stays the same while the program runs, and is asked for once."""
    return Gpus().first()
