"""One click caches what is missing or stale, by runs like any other."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from backend.runs.folder import RunState, list_runs
from gui.form import Draft, form_of
from tests.gui.dataset_project import make_dataset
from tests.models.tiny_text_models import write_clip_folder, write_llama_folder

VAE = Path(__file__).parents[1] / "golden" / "vae_model.safetensors"


@pytest.fixture
def path(tmp_path) -> str:
    return str(make_dataset(tmp_path))


@pytest.fixture
def client(serve_page):
    return serve_page().client


def inspect(client, path) -> dict:
    parameters = {"path": path, "again": "1"}
    while (told := client.get("/dataset/inspection", params=parameters).json())["state"] == "running":
        parameters.pop("again", None)
        time.sleep(0.05)
    return told


def wait_for_runs(workspace: Path, names: list[str]) -> None:
    waiting = [run for run in list_runs(workspace) if run.name in names]
    while not all(run.state().is_over for run in waiting):
        time.sleep(0.2)
    assert [run.state() for run in waiting] == [RunState.FINISHED] * len(names), waiting[0].log_file.read_text()


def test_what_is_missing_is_cached_and_then_only_what_has_changed(client, path, tmp_path):
    options = {
        "vae": str(VAE),
        "vae_dtype": "float32",
        "text_encoder1": str(write_llama_folder(tmp_path / "llama")),
        "text_encoder2": str(write_clip_folder(tmp_path / "clip")),
        "text_encoder_dtype": "float32",
        "device": "cpu",
    }
    Draft(tmp_path).save(form_of(options))
    before = inspect(client, path)
    assert (before["cached"], before["missing"]) == (0, 3)
    runs = client.post("/dataset/cache", json={"path": path}).json()["runs"]
    assert [run.job().kind for run in list_runs(tmp_path)][::-1] == ["cache_latents", "cache_text_encoder_outputs"]
    wait_for_runs(tmp_path, runs)
    after = inspect(client, path)
    assert (after["cached"], after["missing"], after["stale"]) == (3, 0, 0)

    (tmp_path / "pictures" / "bob.txt").write_text("a green thing", encoding="utf-8")
    assert inspect(client, path)["stale"] == 1
    latents = {each: each.stat().st_mtime_ns for each in (tmp_path / "cache").rglob("*_hv.safetensors")}
    wait_for_runs(tmp_path, client.post("/dataset/cache", json={"path": path}).json()["runs"])
    assert inspect(client, path)["cached"] == 3
    assert {each: each.stat().st_mtime_ns for each in (tmp_path / "cache").rglob("*_hv.safetensors")} == latents


def test_what_the_form_lacks_is_named_and_nothing_is_queued(client, path, tmp_path):
    answer = client.post("/dataset/cache", json={"path": path})
    told = [problem["message"] for problem in answer.json()["problems"]]
    assert answer.status_code == 422 and len(told) == 3 and "(vae) is not given" in told[0]
    assert list_runs(tmp_path) == []
