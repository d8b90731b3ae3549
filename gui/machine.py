"""What the machine and the run on it use, `GET /machine?run=NAME`: measured once for all pages, while a page asks."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.gpus import Gpus
from backend.runs.folder import RunFolder, find_run
from backend.runs.process import process_tree

FRESH_S = 2.0
"""A reading younger than this is given to the next page too."""

TREE_S = 15.0
"""How long the list of a run's processes is used: finding it takes as long as ten readings of its use."""


@dataclass(frozen=True)
class Use:
    """What processes use. cpu: percent of one core since the reading before, None at the first; memory: bytes in RAM.

    read, written: bytes since they began.
    """

    cpu: float | None
    memory: int
    read: int | None
    written: int | None
    processes: int


def machine_use(request: Request) -> JSONResponse:
    """Answers what `Machine.read` gives, with "run": null where no run is named or it has no process."""
    workspace: Path = request.app.state.workspace
    run = find_run(workspace, request.query_params.get("run", ""))
    return JSONResponse(request.app.state.machine.read(run))


class Machine:
    """Measures the machine and the trees of runs. find_gpus: called at the first reading, as it wakes the driver.

    clock: seconds that only rise.
    """

    def __init__(
        self, workspace: Path, *, find_gpus: Callable[[], Gpus] = Gpus, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._workspace, self._find_gpus, self._clock = workspace, find_gpus, clock
        self._gpus: Gpus | None = None
        self._lock = threading.Lock()
        self._trees: dict[str, _Tree] = {}
        self._readings: dict[str, tuple[float, dict[str, Any]]] = {}
        self._counting = ThreadPoolExecutor(1)  # psutil counts from the call before that came from the same thread
        self._counted: float | None = None

    def read(self, run: RunFolder | None) -> dict[str, Any]:
        """GPUs, processor, memory and disk, and what the run's processes use of them; no older than FRESH_S.

        {"gpus": [...], "no_gpu": why there are none, "cpu": percent of all, null at first, "cores", "memory_used",
        "memory_total", "disk_free", "disk_total", "run": Use or null}; sizes in bytes.
        """
        name, now = run.name if run else "", self._clock()
        with self._lock:
            taken, reading = self._readings.get(name, (-FRESH_S, {}))
            if not reading or now - taken >= FRESH_S:
                reading = self._measure(run, now)
                self._readings = {name: entry for name, entry in self._readings.items() if now - entry[0] < TREE_S}
                self._readings[name] = now, reading
            return reading

    def _measure(self, run: RunFolder | None, now: float) -> dict[str, Any]:
        self._gpus = self._gpus or self._find_gpus()
        memory, disk = psutil.virtual_memory(), shutil.disk_usage(self._workspace)
        use, pids = self._use_of(run, now) if run else (None, set())
        return {
            "gpus": [asdict(gpu) for gpu in self._gpus.read(pids)],
            "no_gpu": self._gpus.missing,
            "cpu": self._cpu(now),
            "cores": psutil.cpu_count() or 1,
            "memory_used": memory.total - memory.available,
            "memory_total": memory.total,
            "disk_free": disk.free,
            "disk_total": disk.total,
            "run": asdict(use) if use else None,
        }

    def _cpu(self, now: float) -> float | None:
        """Percent of all cores since the reading before; None if there was none, or one of long ago."""
        before, self._counted = self._counted, now
        percent = self._counting.submit(psutil.cpu_percent).result()
        return None if before is None or now - before > TREE_S else percent

    def _use_of(self, run: RunFolder, now: float) -> tuple[Use | None, set[int]]:
        mark = run.process()
        if mark is None or not mark.is_alive():
            self._trees.pop(run.name, None)
            return None, set()
        tree = self._trees.get(run.name)
        if tree is None or now - tree.listed >= TREE_S:
            processes = process_tree(mark)
            tree = self._trees[run.name] = _Tree(now, processes, tree.counted if tree else {})
        return tree.use(), {process.pid for process in tree.processes}


class _Tree:
    """The processes of a run, with how much processor time each had used when."""

    def __init__(self, listed: float, processes: list[psutil.Process], counted: dict[int, tuple[float, float]]) -> None:
        self.listed, self.processes, self.counted = listed, processes, counted

    def use(self) -> Use:
        readings = [reading for process in self.processes if (reading := self._read(process)) is not None]
        files = [(read, written) for *_, read, written in readings if read is not None]
        return Use(
            cpu=sum(known) if (known := [cpu for cpu, *_ in readings if cpu is not None]) else None,
            memory=sum(memory for _, memory, *_ in readings),
            read=sum(read for read, _ in files) if files else None,
            written=sum(written for _, written in files) if files else None,
            processes=len(readings),
        )

    def _read(self, process: psutil.Process) -> tuple[float | None, int, int | None, int | None] | None:
        try:
            with process.oneshot():
                times, memory = process.cpu_times(), process.memory_info().rss
                read, written = _file_counts(process)
        except psutil.Error:  # it has just ended
            return None
        used, now = times.user + times.system, time.monotonic()
        before, at = self.counted.get(process.pid, (used, now))
        self.counted[process.pid] = used, now
        return (100 * (used - before) / (now - at) if now > at else None), memory, read, written


def _file_counts(process: psutil.Process) -> tuple[int | None, int | None]:
    try:
        counters = process.io_counters()
    except (AttributeError, psutil.AccessDenied):  # macOS does not count, and containers may hide it
        return None, None
    return counters.read_bytes, counters.write_bytes
