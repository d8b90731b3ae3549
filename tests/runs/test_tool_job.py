"""Tools as runs of the queue, in processes of their own: their steps, the file they make, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import load_file

from backend.runs.folder import RunFolder, RunState
from backend.runs.queue import run_job
from backend.runs.tool_job import submit_tool

LORA = Path(__file__).parents[1] / "golden" / "lora_default.safetensors"


def done(workspace: Path, *arguments: object) -> RunFolder:
    run = submit_tool("lora", [str(argument) for argument in arguments], workspace=workspace, title="mine")
    run_job(run)
    return run


def test_a_conversion_counts_its_modules_and_names_its_file(tmp_path):
    output = tmp_path / "for_comfyui.safetensors"
    run = done(tmp_path, "convert", LORA, "--target", "comfyui", "--output", output)
    status = run.status()
    assert (run.state(), run.job().kind) == (RunState.FINISHED, "lora")
    assert status.step == status.total_steps == len(load_file(output)) // 2
    assert (status.phase, status.files) == ("done", (str(output),))


def test_an_existing_file_stays_and_the_run_tells_why(tmp_path):
    output = tmp_path / "mine.safetensors"
    output.write_bytes(b"mine")
    run = done(tmp_path, "resize", LORA, "--rank", "2", "--output", output)
    assert run.state() is RunState.FAILED
    assert "exists already" in run.status().message
    assert output.read_bytes() == b"mine" and run.status().files == ()


def test_a_stop_is_heard_between_modules_and_nothing_is_written(tmp_path):
    output = tmp_path / "small.safetensors"
    run = submit_tool(
        "lora", ["resize", str(LORA), "--rank", "2", "--output", str(output)], workspace=tmp_path, title="mine"
    )
    run.request("stop")
    run_job(run)
    assert run.state() is RunState.STOPPED
    assert not output.exists()


def test_only_tools_become_runs(tmp_path):
    with pytest.raises(ValueError, match="'queue' is no tool"):
        submit_tool("queue", [], workspace=tmp_path, title="mine")
