"""Why a run failed: the cause by its id, the lines of the log that show it, what to change."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.runs.failure_changes import changes_for
from backend.runs.failure_texts import TEXTS
from backend.runs.folder import RunFolder, RunState
from backend.runs.log_file import read_tail

EVIDENCE_LINES = 12


@dataclass(frozen=True)
class Failure:
    """Why a run failed. id and parameters: what a translation needs. sentence, advice: in English.

    A parameter that is not known is left out.
    evidence: the lines of the log that show it. changes: options and the values that would help, {} if none is known.
    """

    id: str
    parameters: Mapping[str, str | int]
    evidence: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        return TEXTS[self.id].sentence(self.parameters)

    @property
    def advice(self) -> str:
        return TEXTS[self.id].advice.format_map(self.parameters)

    def record(self) -> dict[str, Any]:
        """As JSON holds it, with the English words."""
        return {
            "id": self.id,
            "parameters": dict(self.parameters),
            "sentence": self.sentence,
            "advice": self.advice,
            "evidence": list(self.evidence),
            "changes": dict(self.changes),
        }


def find_failure(run: RunFolder) -> Failure | None:
    """Why the run failed or crashed; None for one that did neither.

    It follows from what the run told, from how its process ended, and from its log, whoever is left to write it.
    """
    if run.state() not in (RunState.FAILED, RunState.CRASHED):
        return None
    ending = read_ending(run)
    identity, parameters = _cause(ending)
    evidence = _evidence(identity, ending)
    return Failure(identity, parameters, evidence, changes_for(identity, parameters, run))


@dataclass(frozen=True)
class Ending:
    """What is known of how a run ended.

    error: see `error_record.describe_error`. code: exit code or -signal, None if not known. how: from exit.json.
    memory_ran_out: the system has killed processes for want of memory meanwhile. log: the last lines. step: the last
    one that was told. message: of the status. is_recorded: whether anybody told that it ended.
    """

    error: Mapping[str, Any]
    code: int | None
    how: str
    memory_ran_out: bool
    log: tuple[str, ...]
    step: int
    message: str
    is_recorded: bool


def read_ending(run: RunFolder) -> Ending:
    """How the run ended, from its files."""
    status, ended = run.status(), run.exit_record()
    record = ended or {}
    return Ending(
        error=status.error if status else {},
        code=record.get("code"),
        how=str(record.get("how", "")),
        memory_ran_out=bool(record.get("memory_ran_out", False)),
        log=tuple(read_tail(run.log_file)),
        step=status.step if status else 0,
        message=status.message if status and status.outcome else "",
        is_recorded=ended is not None or bool(status and status.outcome),
    )


Parameters = dict[str, str | int]


def _cause(ending: Ending) -> tuple[str, Parameters]:
    """The id of the cause and its parameters: what the run told, who ended it, what its log shows, in that order."""
    if not ending.is_recorded:
        return "vanished", {"step": ending.step}
    for find in (_not_started, _told_cause, _kill_cause, _shown_cause, _fault_cause):
        if (found := find(ending)) is not None:
            return found
    if ending.message:
        return ("told" if "UserError" in ending.error.get("types", ()) else "unknown"), {"message": ending.message}
    for line in reversed(ending.log):
        if line.startswith("error: "):  # as every command of this program tells what it could not do
            return "told", {"message": line.removeprefix("error: ")}
    last = ending.log[-1] if ending.log else f"exit code {ending.code}"
    return "unknown", {"message": last}


def _not_started(ending: Ending) -> tuple[str, Parameters] | None:
    if not ending.how.startswith("not started: "):
        return None
    why = ending.how.removeprefix("not started: ")
    if needed := re.fullmatch(r"(\S+) is (\w+)", why):
        return "needed_run", {"run": needed[1], "state": needed[2]}
    return _cause_in(why) or ("not_started", {"message": why})


def _told_cause(ending: Ending) -> tuple[str, Parameters] | None:
    """The cause that the error in status.json names: by the place that raised it, by its words, by its class."""
    error = ending.error
    message, cause = str(error.get("message", "")), error.get("cause", "")
    found = (cause, {"message": message, **error.get("parameters", {})}) if cause in TEXTS else None
    if found and not error.get("is_general"):
        return found
    if package := error.get("package"):
        return "missing_package", _package(str(package))
    shown = (_cause_in(words) for words in (message, str(error.get("because", ""))))
    return next((each for each in shown if each), found)


def _shown_cause(ending: Ending) -> tuple[str, Parameters] | None:
    """The cause that a line of the log shows, the last one first."""
    if ending.error:
        return None  # the run knew better
    passed_over = ("warning: ", " ", "\t")  # with a warning it went on; a traceback's source lines are indented
    lines = (line for line in reversed(ending.log) if not line.startswith(passed_over))
    return next((found for line in lines if (found := _cause_in(line)) is not None), None)


_MARKS = {
    "gpu_out_of_memory": re.compile(
        r"(?:CUDA|HIP|XPU|MPS backend).*out of memory|CUBLAS_STATUS_ALLOC_FAILED|OutOfMemoryError"
    ),
    "host_out_of_memory": re.compile(
        r"can't allocate memory|Cannot allocate memory|Allocator: not enough memory|^MemoryError\b|"
        r"Unable to allocate .* an array"
    ),
    "disk_full": re.compile(r"No space left on device|Disk quota exceeded|not enough space on the disk|WinError 112\b"),
    "missing_package": re.compile(r"^(?:ModuleNotFoundError|ImportError): No module named '([\w.]+)'"),
    "port_taken": re.compile(r"EADDRINUSE|[Aa]ddress already in use|WinError 10048\b|another process is utilizing it"),
    "missing_file": re.compile(r"^FileNotFoundError: "),
    "damaged_file": re.compile(r"SafetensorError: |BadZipFile: |UnpicklingError: "),
}
"""How the libraries, and the system, say it."""


def _cause_in(line: str) -> tuple[str, Parameters] | None:
    """The cause that a line of a library or of the system tells."""
    for identity, mark in _MARKS.items():
        if found := mark.search(line):
            return identity, _parameters(identity, line, found)
    return None


def _parameters(identity: str, line: str, found: re.Match[str]) -> Parameters:
    if identity == "missing_package":
        return _package(found[1])
    if identity == "port_taken":
        port = re.search(r"port[:= `]+(\d+)|:(\d{2,5})\b", line)
        return {"port": int(port[1] or port[2])} if port else {}
    if identity == "gpu_out_of_memory":
        size = r"([\d.]+ [KMG]i?B)"
        patterns = {"wanted": rf"allocate {size}", "free": rf"{size} is free", "total": rf"capacity of {size}"}
        found_sizes = {name: re.search(pattern, line) for name, pattern in patterns.items()}
        return {name: match[1] for name, match in found_sizes.items() if match}
    if identity == "host_out_of_memory":
        wanted = re.search(r"allocate (\d+) bytes", line)
        return {"wanted": format_bytes(int(wanted[1]))} if wanted else {}
    return {"message": line.strip()}


def _package(module: str) -> Parameters:
    package = module.partition(".")[0]
    return {"package": package, "install": package}


def format_bytes(count: float) -> str:
    """A size as torch writes it, such as 1.50 GiB."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.2f} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.2f} GiB"


_WINDOWS_FAULTS = 0xC0000000  # NTSTATUS of a process that did something impossible, 0xC0000005 for memory not its own

_FAULTS = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")


def _kill_cause(ending: Ending) -> tuple[str, Parameters] | None:
    """The signal by which somebody else ended the process: the exit code is its negative."""
    name = _signal_name(ending.code)
    if not name or name in _FAULTS:
        return None
    by_system = ending.memory_ran_out and name == "SIGKILL"
    return ("killed_for_memory" if by_system else "killed"), {"signal": -(ending.code or 0), "signal_name": name}


def _fault_cause(ending: Ending) -> tuple[str, Parameters] | None:
    """The fault by which the process ended itself; Windows has numbers of its own for that."""
    code = ending.code or 0
    if code >= _WINDOWS_FAULTS:
        return "fault", {"signal": code, "signal_name": f"0x{code:08X}"}
    name = _signal_name(code)
    return ("fault", {"signal": -code, "signal_name": name}) if name in _FAULTS else None


def _signal_name(code: int | None) -> str:
    """The name of the signal that an exit code tells of, "" if it tells of none."""
    if code is None or code >= 0:
        return ""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return "a signal without a name"


def _evidence(identity: str, ending: Ending) -> tuple[str, ...]:
    """The lines that show it, or the last ones; of an error that is not known the end of its traceback."""
    if identity in ("unknown", "fault"):
        return ending.log[_start_of_traceback(ending.log) :][-EVIDENCE_LINES:]
    mark = _MARKS.get(identity) or _mark_of_message(ending)
    shown = [line for line in ending.log if mark.search(line)] if mark else []
    return tuple(shown[-EVIDENCE_LINES:]) or ending.log[-EVIDENCE_LINES:]


def _mark_of_message(ending: Ending) -> re.Pattern[str] | None:
    message = str(ending.error.get("message", ""))
    return re.compile(re.escape(message)) if message else None


def _start_of_traceback(log: tuple[str, ...]) -> int:
    starts = ("Traceback (most recent call last)", "Fatal Python error")
    return max((number for number, line in enumerate(log) if line.startswith(starts)), default=0)
