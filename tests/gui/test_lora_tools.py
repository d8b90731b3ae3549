"""The routes of the Tools tab: LoRA files looked into, made by runs, and offered for download."""

from __future__ import annotations

import shutil
from pathlib import Path

import filelock
import pytest
from safetensors.numpy import load_file, save_file

from backend.commands.lora import facts_of
from backend.runs.folder import Job, RunFolder, create_run_folder, find_run, submit
from backend.runs.queue import LOCK_FILE, run_job
from backend.runs.status import Reporter

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def client(serve_page):
    return serve_page().client


@pytest.fixture
def lora(tmp_path) -> Path:
    return Path(shutil.copy(GOLDEN / "lora_default.safetensors", tmp_path))


@pytest.fixture
def queue_rests(tmp_path):
    """Another worker seems to be at the queue, so that jobs stay in it for a test to look at and to run itself."""
    with filelock.FileLock(tmp_path / LOCK_FILE):
        yield


def start(client, command: str, values: dict, *, overwrite: bool = False, **more: object):
    body = {"command": command, "values": {"save_precision": "keep", **values}, "overwrite": overwrite, **more}
    return client.post("/lora/runs", json=body)


def message(answer) -> str:
    assert answer.status_code == 422
    return " | ".join(problem["message"] for problem in answer.json()["problems"])


def test_a_file_is_told_as_grids_with_norms_and_its_metadata_in_words(client, lora):
    told = client.get("/lora/facts", params={"path": str(lora)}).json()
    expected = facts_of(lora)
    assert (told["name"], told["naming"], told["kinds"], told["ranks"]) == (lora.name, "default", ["LoRA"], [4])
    assert (told["size"], told["module_count"]) == (lora.stat().st_size, expected["modules"])
    for group in told["groups"]:
        for block in range(group["blocks"]):
            norms = [row["cells"][block]["norm"] for row in group["rows"] if row["cells"][block]]
            whole = sum(norm**2 for norm in norms) ** 0.5
            assert whole == pytest.approx(expected["norms"][f"{group['kind']}.{block}"], rel=1e-5)
    assert [row["part"] for row in told["groups"][1]["rows"]] == ["linear1", "linear2", "modulation.linear"]
    assert ["Rank", "4"] in told["known"] and any(key == "sshs_model_hash" for key, _ in told["metadata"])
    japanese = client.get("/lora/facts", params={"path": str(lora)}, headers={"accept-language": "ja"}).json()
    assert ["ランク", "4"] in japanese["known"]


def test_a_file_that_changed_is_read_anew(client, lora):
    before = client.get("/lora/facts", params={"path": str(lora)}).json()
    tensors = load_file(lora)
    save_file({name: tensor * 2 if "lora_up" in name else tensor for name, tensor in tensors.items()}, lora)
    after = client.get("/lora/facts", params={"path": str(lora)}).json()
    assert after["norm"] == pytest.approx(2 * before["norm"])
    assert after["known"] == []


def test_what_is_no_lora_or_lies_elsewhere_is_refused(client, tmp_path):
    text = tmp_path / "text.safetensors"
    text.write_text("no safetensors", encoding="utf-8")
    model = shutil.copy(GOLDEN / "dit_model.safetensors", tmp_path)
    for path in ("", "/etc/passwd", str(tmp_path), str(tmp_path / "gone.safetensors"), str(text), str(model)):
        assert client.get("/lora/facts", params={"path": path}).status_code == 422, path


def test_a_job_is_queued_runs_and_its_file_is_downloaded(client, tmp_path, lora, queue_rests):
    output = tmp_path / "small.safetensors"
    answer = start(client, "resize", {"file": str(lora), "by": "rank", "rank": "2", "output": str(output)})
    assert answer.status_code == 200
    run = find_run(tmp_path, answer.json()["run"])
    assert run.job().name == "resize lora_default"
    (told,) = client.get("/lora/runs").json()["runs"]
    assert (told["state"], told["files"]) == ("queued", [])
    run_job(run)
    (told,) = client.get("/lora/runs").json()["runs"]
    assert (told["state"], told["step"], [file["name"] for file in told["files"]]) == (
        "finished",
        told["total_steps"],
        [output.name],
    )
    downloaded = client.get(f"/runs/{run.name}/results/{output.name}")
    assert downloaded.content == output.read_bytes()
    assert "attachment" in downloaded.headers["content-disposition"]
    assert client.get(f"/runs/{run.name}/results/status.json").status_code == 404
    assert client.get(f"/runs/{run.name}/results/..%2Fjob.json").status_code == 404
    assert client.get(f"/runs/none/results/{output.name}").status_code == 404


def test_only_weights_of_trainings_and_tools_inside_the_allowed_folders_are_served(
    client, tmp_path, lora, tmp_path_factory
):
    outside = tmp_path_factory.mktemp("outside") / "secret.safetensors"
    shutil.copy(lora, outside)
    (tmp_path / "settings.toml").write_text(f"allowed_roots = ['{tmp_path}']\n", encoding="utf-8")
    assert client.get(f"/runs/{finished(tmp_path, 'lora', lora).name}/results/{lora.name}").status_code == 200
    assert client.get(f"/runs/{finished(tmp_path, 'train', lora).name}/results/{lora.name}").status_code == 200
    assert client.get(f"/runs/{finished(tmp_path, 'cache_latents', lora).name}/results/{lora.name}").status_code == 404
    assert client.get(f"/runs/{finished(tmp_path, 'lora', outside).name}/results/{outside.name}").status_code == 404


def finished(workspace: Path, kind: str, file: Path) -> RunFolder:
    """A run that says it has made this file."""
    run = create_run_folder(workspace, kind)
    submit(run, Job(kind, kind, ("-c", "")))
    Reporter(run.path).update(phase="done", outcome="finished", files=(str(file),))
    return run


def test_each_command_becomes_the_arguments_of_the_command_line(client, tmp_path, lora, queue_rests):
    model = shutil.copy(GOLDEN / "dit_model.safetensors", tmp_path / "dit.safetensors")
    output = str(tmp_path / "new.safetensors")
    asked = {
        "convert": {"file": str(lora), "target": "diffusers", "output": output},
        "resize": {"file": str(lora), "by": "keep_energy", "keep_energy": "0.9", "rank": "x", "output": output},
        "merge": {"dit": str(model), "output": output},
        "extract": {"dit": str(model), "dit_tuned": str(model), "rank": "8", "keep_energy": "", "output": output},
    }
    loras = [{"file": str(lora), "strength": "0.8"}, {"file": "", "strength": "1"}]
    arguments = {
        command: find_run(tmp_path, start(client, command, values, loras=loras, overwrite=True).json()["run"])
        .job()
        .arguments[4:]
        for command, values in asked.items()
    }
    written = ("--output", output, "--save_precision", "keep", "--overwrite")
    assert arguments == {
        "convert": (str(lora), "--target", "diffusers", *written),
        "resize": (str(lora), "--keep_energy", "0.9", *written),
        "merge": (
            *("--dit", str(model), "--lora_weight", str(lora), "--lora_multiplier", "0.8"),
            *("--save_merged_model", output, "--overwrite"),
        ),
        "extract": ("--dit", str(model), "--dit_tuned", str(model), "--rank", "8", *written),
    }


def test_what_cannot_be_made_is_refused_and_nothing_is_queued(client, tmp_path, lora):
    taken = tmp_path / "taken.safetensors"
    taken.write_bytes(b"mine")
    new = str(tmp_path / "new.safetensors")
    good = {"file": str(lora), "target": "comfyui", "output": new}
    assert "exists already" in message(start(client, "convert", good | {"output": str(taken)}))
    assert "result is a .safetensors" in message(start(client, "convert", good | {"output": str(tmp_path / ".bashrc")}))
    same = start(client, "convert", good | {"output": str(lora)}, overwrite=True)
    assert "is what the result is made from" in message(same)
    assert "may not look" in message(start(client, "convert", good | {"output": "/etc/new.safetensors"}))
    assert "may not look" in message(start(client, "convert", good | {"file": "/etc/passwd"}))
    assert "has to be one of" in message(start(client, "convert", good | {"target": "--overwrite"}))
    assert "whole number" in message(start(client, "resize", good | {"by": "rank", "rank": "0"}))
    assert "no number" in message(start(client, "resize", good | {"by": "keep_energy", "keep_energy": "nan"}))
    assert "no LoRA file is given" in message(start(client, "merge", good | {"dit": str(lora)}))
    assert "no such tool" in message(start(client, "info", good))
    assert client.post("/lora/runs", json={"command": "convert"}).status_code == 422
    assert client.get("/lora/runs").json() == {"runs": []} and taken.read_bytes() == b"mine"
