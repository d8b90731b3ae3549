import json
import shutil
import time
from pathlib import Path

import pytest

from backend.runs.bin import delete_run, restore_run
from backend.runs.notes import write_notes
from gui.run_list import SETTLED_S, RunList
from tests.gui.written_runs import end_run, make_run


def names(told: dict) -> set[str]:
    return {row["run"] for row in told["rows"]}


def later() -> float:
    """A clock by which everything that was written is settled."""
    return time.time() + SETTLED_S + 1


def test_a_page_gets_all_runs_and_then_only_what_has_changed(tmp_path):
    first, second = make_run(tmp_path), make_run(tmp_path)
    end_run(first, steps=3, memory={"kind": "cuda", "peak_bytes": 2**30})
    runs = RunList(tmp_path)
    told = runs.since("")
    assert (told["all"], names(told)) == (True, {first.name, second.name})
    row = next(row for row in told["rows"] if row["run"] == first.name)
    assert (row["state"], row["step"], row["loss"], row["peak_gpu_bytes"]) == ("finished", 3, 1 / 3, 2**30)
    assert runs.since(told["version"], at_once=True)["rows"] == []
    end_run(second)
    changed = runs.since(told["version"], at_once=True)
    assert (changed["all"], names(changed)) == (False, {second.name})


@pytest.mark.parametrize("clock", [time.time, later])
def test_notes_deletion_and_restoring_show_at_once(tmp_path, clock):
    run, other = make_run(tmp_path), make_run(tmp_path)
    end_run(run)
    end_run(other)
    runs = RunList(tmp_path, clock=clock)
    version = runs.since("")["version"]
    write_notes(run, "best so far")
    told = runs.since(version, at_once=True)
    assert [(row["run"], row["notes"]) for row in told["rows"]] == [(run.name, "best so far")]
    delete_run(run)
    told = runs.since(told["version"], at_once=True)
    assert (told["rows"], told["gone"]) == ([], [run.name])
    restore_run(tmp_path, run.name)
    told = runs.since(told["version"], at_once=True)
    assert (names(told), told["gone"]) == ({run.name}, [])


def test_a_version_of_another_server_gets_everything(tmp_path):
    run = make_run(tmp_path)
    version = RunList(tmp_path).since("")["version"]
    told = RunList(tmp_path).since(version)
    assert (told["all"], names(told)) == (True, {run.name})


def test_a_folder_that_is_no_run_is_not_listed(tmp_path):
    (tmp_path / "runs" / "half_made").mkdir(parents=True)
    assert RunList(tmp_path).since("")["rows"] == []
    shutil.rmtree(tmp_path / "runs")
    assert RunList(tmp_path).since("")["rows"] == []


def test_runs_that_are_over_are_not_read_again(tmp_path):
    runs = [make_run(tmp_path) for _ in range(5)]
    for run in runs:
        end_run(run)
    listed = RunList(tmp_path, clock=later)
    version = listed.since("")["version"]
    for run in runs:  # written in place, which nobody does: the folder's time stays as it was
        run.status_file.write_text(json.dumps({"outcome": "failed"}))
    assert listed.since(version, at_once=True)["rows"] == []


def test_the_page_is_given_the_list_and_the_trainings(tmp_path, serve_page):
    old, new, waiting = make_run(tmp_path, "old"), make_run(tmp_path, "new"), make_run(tmp_path, "waiting")
    caching = make_run(tmp_path, "cache", kind="cache_latents")
    for run in (old, new, caching):
        end_run(run, steps=2)
    client = serve_page(Path(tmp_path)).client
    told = client.get("/runs").json()
    assert names(told) == {old.name, new.name, waiting.name, caching.name}
    assert client.get("/runs", params={"since": told["version"]}).json()["rows"] == []
    assert client.get("/trainings").json()["runs"] == [[new.name, "new"], [old.name, "old"]]
