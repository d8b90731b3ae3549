from pathlib import Path

import httpx
from filelock import FileLock

from backend.plan.resume import StateRecord
from backend.runs.caching_job import NEEDED
from backend.runs.folder import RunFolder, RunState, find_run, needed_runs
from backend.runs.notes import read_notes
from backend.runs.training_job import submit_training
from tests.gui.written_runs import end_run, make_run
from tests.runs.cached_dataset import cached_dataset, change_caption
from tests.runs.written_state import write_state


def post(client: httpx.Client, path: str, body: object = None) -> httpx.Response:
    return client.post(path, json=body) if body is not None else client.post(path)


def make_state(run: RunFolder, name: str, *, step: int) -> Path:
    facts = {"dataset": {"batches_per_epoch": 10}, "micro_batches_per_step": 1, "seed": 1}
    return write_state(run.checkpoints / name, StateRecord(step, (0.5,), facts))


def test_details_tell_states_notes_and_the_disk(tmp_path, serve_page):
    run = make_run(tmp_path)
    end_run(run, steps=2)
    make_state(run, "fox-step00000010-state", step=10)
    make_state(run, "fox-step00000025-state", step=25)
    told = serve_page().client.get(f"/runs/{run.name}/details").json()
    assert [(state["name"], state["step"], state["epoch"]) for state in told["states"]] == [
        ("fox-step00000025-state", 25, 3),
        ("fox-step00000010-state", 10, 1),
    ]
    assert (told["notes"], told["failure"], told["folder"]) == ("", None, str(run.path))
    assert told["disk_bytes"] == sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())


def test_a_failure_is_told_in_the_language_of_the_page(tmp_path, serve_page):
    run = make_run(tmp_path)
    end_run(run, "failed", error={"types": [], "message": "CUDA out of memory. Tried to allocate 2.00 GiB."})
    client = serve_page().client
    english = client.get(f"/runs/{run.name}/details").json()["failure"]
    japanese = client.get(f"/runs/{run.name}/details", headers={"accept-language": "ja"}).json()["failure"]
    assert english["id"] == japanese["id"] == "gpu_out_of_memory"
    assert english["sentence"].startswith("The GPU ran out of memory")
    assert japanese["sentence"].startswith("GPUのメモリが不足")
    assert all(change.keys() == {"option", "label", "value", "given"} for change in english["changes"])


def test_notes_are_kept_and_taken_away(tmp_path, serve_page):
    run = make_run(tmp_path)
    client = serve_page().client
    assert post(client, f"/runs/{run.name}/notes", {"text": "猫 best\n2nd line"}).status_code == 200
    assert read_notes(run) == "猫 best\n2nd line"
    for wrong in ({"text": 7}, {"text": "x" * 200_000}, ["text"], {}):
        assert post(client, f"/runs/{run.name}/notes", wrong).status_code == 400
    post(client, f"/runs/{run.name}/notes", {"text": " "})
    assert read_notes(run) == ""


def test_a_run_goes_to_the_bin_and_comes_back_or_is_erased(tmp_path, serve_page):
    run, other = make_run(tmp_path), make_run(tmp_path)
    end_run(run)
    end_run(other)
    client = serve_page().client
    assert post(client, f"/runs/{run.name}/delete").status_code == 200
    assert [one["run"] for one in client.get("/bin").json()["runs"]] == [run.name]
    assert not run.path.exists()
    assert post(client, f"/bin/{run.name}/restore").status_code == 200
    assert run.state() is RunState.FINISHED
    post(client, f"/runs/{run.name}/delete")
    assert post(client, f"/bin/{run.name}/erase").status_code == 200
    assert client.get("/bin").json()["runs"] == []
    assert "is not in the bin" in post(client, f"/bin/{run.name}/restore").json()["error"]


def test_a_run_that_waits_cannot_be_deleted_and_an_unknown_one_is_nobodys(tmp_path, serve_page):
    run = make_run(tmp_path)
    client = serve_page().client
    with FileLock(tmp_path / "queue.lock"):
        answer = post(client, f"/runs/{run.name}/delete")
    assert (answer.status_code, "stop it first" in answer.json()["error"]) == (409, True)
    for path in ("/runs/no_such_run/delete", "/runs/no_such_run/notes", "/runs/no_such_run/again"):
        assert post(client, path, {"text": "x"}).status_code == 404
    assert client.get("/runs/no_such_run/details").status_code == 404


def test_what_keeps_a_run_from_starting_again_is_told(tmp_path, serve_page):
    run = make_run(tmp_path)
    end_run(run)
    client = serve_page().client
    for path, words in (
        (f"/runs/{run.name}/again", "no transformer is chosen"),
        (f"/runs/{run.name}/resume", "has saved no state"),
    ):
        answer = post(client, path, {})
        assert answer.status_code == 409
        assert words in answer.json()["error"]
    make_state(run, "fox-step00000010-state", step=10)
    answer = post(client, f"/runs/{run.name}/resume", {"state": "../../secrets"})
    assert "has no state '../../secrets'" in answer.json()["error"]


def test_a_training_is_started_again_and_resumed_after_the_caching_that_it_needs(tmp_path, serve_page):
    run = submit_training(cached_dataset(tmp_path), workspace=tmp_path)
    change_caption(tmp_path)
    make_state(run, "fox-step00000010-state", step=10)
    with FileLock(tmp_path / "queue.lock"):  # so that no worker takes them
        client = serve_page().client
        for path, body in (("again", {}), ("resume", {"state": "fox-step00000010-state"})):
            answer = post(client, f"/runs/{run.name}/{path}", body)
            made = find_run(tmp_path, answer.json()["run"])
            needed = [needed.job().kind for needed in needed_runs(made)]
            assert (answer.status_code, made.job().kind, needed) == (200, "train", [*NEEDED])
