"""What is made of the driver's answers. The driver itself is not there on most machines that run the tests."""

from types import ModuleType, SimpleNamespace

import pytest

from backend.gpus import GpuReading, Gpus


class NVMLError(Exception):
    """As in pynvml."""


def refuse(*_: object) -> None:
    raise NVMLError("not supported")


def driver(*, devices: int = 1, **answers: object) -> ModuleType:
    """A library with pynvml's functions: each answers with the value of its name, or refuses."""
    library = ModuleType("pynvml")
    library.NVMLError, library.NVML_TEMPERATURE_GPU = NVMLError, 0
    library.nvmlInit, library.nvmlSystemGetDriverVersion = lambda: None, lambda: b"580.95.05"
    library.nvmlDeviceGetCount = lambda: devices
    library.nvmlDeviceGetHandleByIndex = lambda index: index
    for name in ("UtilizationRates", "MemoryInfo", "PowerUsage", "ComputeRunningProcesses", "Name", "Temperature"):
        answer = (lambda value: lambda *_: value)(answers[name]) if name in answers else refuse
        setattr(library, f"nvmlDeviceGet{name}", answer)
    return library


def test_a_gpu_is_read_with_what_the_run_uses_of_it():
    processes = [SimpleNamespace(pid=7, usedGpuMemory=100), SimpleNamespace(pid=8, usedGpuMemory=50)]
    library = driver(
        UtilizationRates=SimpleNamespace(gpu=97),
        MemoryInfo=SimpleNamespace(used=150, total=200),
        PowerUsage=342_000,
        Temperature=71,
        ComputeRunningProcesses=processes,
        Name=b"NVIDIA L4",
    )
    gpus = Gpus(lambda: library)
    assert gpus.missing == ""
    assert gpus.read({7}) == [GpuReading("NVIDIA L4", 97, 71, 342.0, 150, 200, 100)]


def test_what_a_driver_does_not_tell_is_none():
    assert Gpus(lambda: driver()).read({7}) == [GpuReading("GPU", None, None, None, None, None, None)]


def test_memory_that_the_driver_gives_no_process_counts_as_nothing():
    processes = [SimpleNamespace(pid=7, usedGpuMemory=None)]  # Windows' usual driver model
    assert Gpus(lambda: driver(ComputeRunningProcesses=processes)).read({7})[0].run_bytes == 0


@pytest.mark.parametrize(("devices", "missing"), [(0, "no_gpu"), (2, "")])
def test_each_gpu_is_read(devices, missing):
    gpus = Gpus(lambda: driver(devices=devices))
    assert (len(gpus.read(())), gpus.missing) == (devices, missing)


def test_without_library_or_driver_it_is_said_which_is_missing():
    def no_library():
        raise ImportError("pynvml")

    library = driver()
    library.nvmlInit = refuse
    assert Gpus(no_library).missing == "no_library" and Gpus(no_library).driver_version() is None
    assert Gpus(lambda: library).missing == "no_driver" and Gpus(lambda: library).driver_version() is None
    assert Gpus(lambda: library).read(()) == []


def test_the_driver_tells_its_version_and_the_first_gpu():
    memory = SimpleNamespace(used=1, total=24 * 2**30)
    gpus = Gpus(lambda: driver(devices=2, Name="NVIDIA GeForce RTX 4090", MemoryInfo=memory))
    assert (gpus.first(), gpus.driver_version()) == (("NVIDIA GeForce RTX 4090", 24 * 2**30), "580.95.05")
    assert Gpus(lambda: driver(devices=0)).first() is None
    assert Gpus(driver).first() is None  # it does not tell how much memory there is
