"""Failures named: each cause is provoked, and told with its evidence and what to change."""

import errno
import importlib
import os
import signal
import socket
import string
import sys
from pathlib import Path

import pytest
import torch

from backend.config.configuration import Configuration
from backend.config.toml_file import write_configuration
from backend.errors import OptionError, UserError
from backend.runs.error_record import describe_error
from backend.runs.failure_changes import WITHOUT_LIBRARY
from backend.runs.failure_texts import TEXTS
from backend.runs.failures import find_failure
from backend.runs.folder import Job, RunState, create_run_folder, submit
from backend.runs.queue import run_job, work
from backend.runs.status import Reporter, read_json, write_json
from backend.runs.tool_job import submit_tool
from backend.runs.watch import Patience
from backend.training.libraries import import_library
from tests.runs.jobs import ENDS, FAILS, make_run

SHORT = Patience(stop_s=0.5, terminate_s=0.5, leftovers_s=0.2, linger_s=0.2)

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def failed_with(workspace, error, *, log="", kind="train", **options):
    """A run that told this error as the trainer does, with these settings."""
    run = create_run_folder(workspace, "x")
    submit(run, Job(kind=kind, name="x", arguments=()))
    write_configuration(run.config_file, Configuration.from_values(options))
    run.log_file.write_text(log, encoding="utf-8")
    Reporter(run.path).update(phase="training", outcome="failed", message=str(error), error=describe_error(error))
    write_json(run.exit_file, {"code": 1, "how": "", "at": 0.0})
    return run


def raised(action, *errors):
    with pytest.raises(errors) as caught:
        action()
    return caught.value


# torch's own text; there is no GPU to fill here
GPU_TEXT = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.65 GiB of which 1.19 GiB is "
    "free. Process 4711 has 22.40 GiB memory in use."
)


def test_a_full_gpu_is_told_with_its_numbers_and_the_next_means_against_it(tmp_path):
    error = raised(lambda: (_ for _ in ()).throw(torch.OutOfMemoryError(GPU_TEXT)), torch.OutOfMemoryError)
    log = f"steps: 1%\nTraceback (most recent call last):\ntorch.OutOfMemoryError: {GPU_TEXT}\n"
    failure = find_failure(failed_with(tmp_path, error, log=log))
    assert failure.id == "gpu_out_of_memory"
    assert failure.sentence == "The GPU ran out of memory: 2.00 GiB more were wanted, 1.19 GiB of 23.65 GiB were free."
    assert failure.evidence == (f"torch.OutOfMemoryError: {GPU_TEXT}",)
    assert failure.changes == {"gradient_checkpointing": True}


@pytest.mark.parametrize(
    ("kind", "options", "changes"),
    [
        ("train", {"gradient_checkpointing": True}, {"blocks_to_swap": 20}),
        ("train", {"gradient_checkpointing": True, "blocks_to_swap": 20}, {"blocks_to_swap": 36}),
        ("train", {"gradient_checkpointing": True, "blocks_to_swap": 36}, {"fp8_scaled": True}),
        ("train", {"gradient_checkpointing": True, "blocks_to_swap": 38, "fp8_base": True}, {}),
        ("cache_latents", {"batch_size": 1}, {"vae_tiling": True}),
        ("cache_text_encoder_outputs", {"batch_size": 1}, {"fp8_llm": True}),
        ("cache_latents", {}, {"batch_size": 1}),
    ],
)
def test_against_a_full_gpu_one_means_after_the_other_is_offered(tmp_path, kind, options, changes):
    failure = find_failure(failed_with(tmp_path, torch.OutOfMemoryError(GPU_TEXT), kind=kind, **options))
    assert failure.changes == changes
    assert Configuration.from_values({**options, **failure.changes})


@pytest.mark.parametrize(
    ("text", "parameters", "sentence"),
    [
        ("CUDA error: out of memory", {}, "The GPU ran out of memory."),
        (
            "MPS backend out of memory (max allowed: 18.13 GB). Tried to allocate 288.00 MB.",
            {"wanted": "288.00 MB"},
            "The GPU ran out of memory: 288.00 MB more were wanted.",
        ),
        ("DefaultCPUAllocator: not enough memory", {}, "The machine ran out of main memory."),
        (
            "Address already in use",
            {},
            "Another program uses the port at which the processes of the training meet.",
        ),
    ],
)
def test_what_a_line_does_not_tell_is_left_out_of_the_sentence(tmp_path, text, parameters, sentence):
    run = make_run(tmp_path, f"raise RuntimeError({text!r})")
    run_job(run, patience=SHORT)
    failure = find_failure(run)
    assert (failure.parameters, failure.sentence) == (parameters, sentence)


def test_the_gpu_is_named_although_caching_words_it_anew(tmp_path):
    try:
        raise UserError("not enough memory to encode a.mp4") from torch.OutOfMemoryError(GPU_TEXT)
    except UserError as error:
        assert find_failure(failed_with(tmp_path, error)).parameters["wanted"] == "2.00 GiB"


def test_main_memory_that_torch_cannot_have_is_named(tmp_path):
    error = raised(lambda: torch.empty(1 << 50, dtype=torch.uint8), RuntimeError)
    failure = find_failure(failed_with(tmp_path, error, max_data_loader_n_workers=4))
    assert (failure.id, failure.parameters["wanted"]) == ("host_out_of_memory", "1048576.00 GiB")
    assert failure.changes == {"max_data_loader_n_workers": 1}


@posix_only
@pytest.mark.parametrize("allocate", ["bytearray(1 << 40)", "__import__('numpy').empty(1 << 40)"])
def test_a_process_that_meets_its_memory_limit_is_named(tmp_path, allocate):
    program = f"import resource; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30)); {allocate}"
    run = make_run(tmp_path, program)
    assert run_job(run, patience=SHORT) == 1
    failure = find_failure(run)
    assert failure.id == "host_out_of_memory"
    assert "MemoryError" in failure.evidence[-1]


@pytest.fixture
def small_cgroup():
    """A control group whose processes may have 64 MiB; skips where none can be made."""
    folder = Path("/sys/fs/cgroup/memory") / f"loom_test_{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(64 << 20))
    except OSError:
        pytest.skip("control groups cannot be made here")
    yield folder
    folder.rmdir()


def test_a_process_that_the_system_kills_for_memory_is_named_with_its_signal(tmp_path, small_cgroup):
    counted = (small_cgroup / "tasks").exists() and "oom_kill " in Path("/proc/vmstat").read_text()
    fill = "import os; open({!r}, 'w').write(str(os.getpid())); all = [bytearray(1 << 20) for _ in range(4096)]"
    run = make_run(tmp_path, fill.format(str(small_cgroup / "cgroup.procs")))
    assert run_job(run, patience=SHORT) == -signal.SIGKILL
    failure = find_failure(run)
    assert failure.parameters == {"signal": 9, "signal_name": "SIGKILL"}
    assert failure.id in (("killed_for_memory", "killed") if counted else ("killed",))
    assert "memory" in failure.sentence + failure.advice


@posix_only
def test_a_run_that_is_killed_from_outside_is_named_with_its_signal(tmp_path):
    run = make_run(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert run_job(run, patience=SHORT) == -signal.SIGTERM
    failure = find_failure(run)
    assert (failure.id, failure.sentence) == ("killed", "Something outside ended the run: signal 15, SIGTERM.")


@posix_only
def test_a_library_that_crashes_is_told_with_the_place(tmp_path):
    run = make_run(tmp_path, "import faulthandler, os; faulthandler.enable(); os.abort()")
    assert run_job(run, patience=SHORT) == -signal.SIGABRT
    failure = find_failure(run)
    assert (failure.id, failure.parameters["signal_name"]) == ("fault", "SIGABRT")
    assert failure.evidence[0] == "Fatal Python error: Aborted" and "job.py" in "".join(failure.evidence)


def test_a_run_that_went_away_with_everything_else_tells_its_last_step(tmp_path):
    run = create_run_folder(tmp_path, "x")
    submit(run, Job(kind="train", name="x", arguments=()))
    dead = {"pid": os.getpid(), "started": 1.0}
    write_json(run.process_file, dead)
    write_json(run.status_file, {"phase": "training", "step": 41, "process": dead})
    failure = find_failure(run)
    assert run.state() is RunState.CRASHED
    assert (failure.id, failure.parameters) == ("vanished", {"step": 41})


def test_a_missing_library_is_named_with_what_does_without(tmp_path):
    error = raised(lambda: importlib.import_module("bitsandbytes_that_is_not_there"), ModuleNotFoundError)
    failure = find_failure(failed_with(tmp_path, error))
    assert (failure.id, failure.parameters["package"]) == ("missing_package", "bitsandbytes_that_is_not_there")
    run = make_run(tmp_path, "import lion_pytorch_of_nobody.deep")
    run_job(run, patience=SHORT)
    assert find_failure(run).parameters["package"] == "lion_pytorch_of_nobody"


@pytest.mark.parametrize("library", WITHOUT_LIBRARY)
def test_every_library_that_may_be_missing_has_a_setting_that_does_without(tmp_path, library):
    error = raised(lambda: import_library(f"{library}_of_nobody", option="optimizer_type", value="x"), OptionError)
    error.parameters = {name: text.removesuffix("_of_nobody") for name, text in error.parameters.items()}
    failure = find_failure(failed_with(tmp_path, error))
    assert failure.id == "missing_package" and list(failure.changes.items()) == [WITHOUT_LIBRARY[library]]
    assert Configuration.from_values(failure.changes)


def test_a_port_that_is_taken_is_named_and_freed_in_the_form(tmp_path):
    with socket.socket() as taken, socket.socket() as second:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = raised(lambda: second.bind(("127.0.0.1", port)), OSError)
    failure = find_failure(failed_with(tmp_path, error, main_process_port=port))
    assert (failure.id, failure.changes) == ("port_taken", {"main_process_port": None})
    with_port = f"The server socket has failed to listen on any local network address. port: {port}, EADDRINUSE"
    assert find_failure(failed_with(tmp_path, RuntimeError(with_port))).parameters == {"port": port}


def test_a_setting_that_does_not_work_keeps_its_words(tmp_path):
    error = OptionError("optimizer_type is x", hint="choose another", option="optimizer_type")
    failure = find_failure(failed_with(tmp_path, error))
    assert (failure.id, failure.parameters["message"]) == ("wrong_setting", "optimizer_type is x")


def test_a_full_disk_is_named(tmp_path):
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.safetensors")
    assert find_failure(failed_with(tmp_path, error)).id == "disk_full"


def test_a_run_that_needs_one_which_failed_names_it(tmp_path):
    first = make_run(tmp_path, FAILS)
    second = make_run(tmp_path, ENDS, needs=(first.name,))
    work(tmp_path, patience=SHORT)
    failure = find_failure(second)
    assert (failure.id, failure.parameters) == ("needed_run", {"run": first.name, "state": "failed"})


def test_a_run_that_cannot_be_started_says_why(tmp_path):
    run = make_run(tmp_path, ENDS)
    run.log_file.mkdir()
    work(tmp_path, patience=SHORT)
    failure = find_failure(run)
    assert failure.id == "not_started" and "Is a directory" in failure.sentence


def test_what_is_not_known_shows_the_end_of_its_traceback(tmp_path):
    run = make_run(tmp_path, "print('\\x1b[31mnoise\\x1b[0m\\rlast', flush=True)\ndef f(): raise KeyError('here')\nf()")
    run_job(run, patience=SHORT)
    failure = find_failure(run)
    assert failure.id == "unknown" and "KeyError: 'here'" in failure.sentence
    assert failure.evidence[0] == "Traceback (most recent call last):"
    assert failure.evidence[-1] == "KeyError: 'here'"
    assert failure.changes == {}


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        ("open('absent')", "missing_file"),
        ("import pickle; pickle.loads(b'x')", "damaged_file"),
        ("print('warning: No space left on device'); raise KeyError(1)", "unknown"),
    ],
)
def test_what_a_library_raises_is_named_and_what_a_run_survived_is_not(tmp_path, program, cause):
    run = make_run(tmp_path, program)
    run_job(run, patience=SHORT)
    assert find_failure(run).id == cause


@posix_only
def test_a_kill_is_not_taken_for_what_the_log_warned_of_before(tmp_path):
    run = make_run(
        tmp_path, "import os; print('OSError: No space left on device', flush=True); os.kill(os.getpid(), 9)"
    )
    run_job(run, patience=SHORT)
    assert find_failure(run).id in ("killed", "killed_for_memory")


def test_a_run_that_did_not_fail_has_no_failure(tmp_path):
    run = make_run(tmp_path, ENDS)
    assert find_failure(run) is None
    run_job(run, patience=SHORT)
    assert find_failure(run) is None


def test_every_text_takes_the_parameters_that_it_names_and_a_record_is_json(tmp_path):
    for text in TEXTS.values():
        assert text.cause.endswith((".", "}")) and text.advice.endswith(".")
        assert all(sentence.endswith(".") for sentence in text.exact)
        whole = "".join((text.cause, text.advice, *text.exact))
        names = {name for _, name, _, _ in string.Formatter().parse(whole) if name}
        assert names <= {
            "message", "wanted", "free", "total", "signal", "signal_name", "step", "count", "package", "install",
            "port", "run", "state",
        }  # fmt: skip
    record = find_failure(failed_with(tmp_path, ValueError("x"))).record()
    write_json(tmp_path / "failure.json", record)
    assert read_json(tmp_path / "failure.json") == record


def test_what_a_tool_could_not_read_is_named(tmp_path):
    run = submit_tool("lora", ["info", str(tmp_path / "absent.safetensors")], workspace=tmp_path, title="look")
    assert run_job(run, patience=SHORT) == 2
    failure = find_failure(run)
    assert (run.job().kind, failure.id) == ("lora", "missing_file") and "there is no such file" in failure.sentence


def test_a_fault_on_windows_is_told_with_its_number(tmp_path):
    run = make_run(tmp_path, ENDS)
    write_json(run.exit_file, {"code": 0xC0000005, "how": "", "at": 0.0})
    failure = find_failure(run)
    assert (failure.id, failure.parameters["signal_name"]) == ("fault", "0xC0000005")
