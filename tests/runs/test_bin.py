"""Deleting runs into the bin, and taking them out."""

import pytest

from backend.errors import InputError
from backend.runs.bin import delete_run, deleted_runs, disk_bytes, erase_run, restore_run
from backend.runs.folder import Job, create_run_folder, list_runs, submit
from backend.runs.status import Reporter, write_json


@pytest.fixture
def run(tmp_path):
    """A run that is over, with a checkpoint and a log folder."""
    run = create_run_folder(tmp_path, "x")
    submit(run, Job(kind="train", name="x", arguments=()))
    logs = tmp_path / "logs" / "20260101000000"
    logs.mkdir(parents=True)
    (logs / "events").write_text("e")
    run.checkpoints.mkdir()
    (run.checkpoints / "x.safetensors").write_bytes(bytes(1000))
    Reporter(run.path).update(phase="done", outcome="finished", log_folder=str(logs))
    write_json(run.exit_file, {"code": 0, "how": "", "at": 0.0})
    return run


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_deleted_run_comes_back_as_it_was_with_its_event_files(run, tmp_path):
    before = [name for name in files(tmp_path) if name.startswith(("runs/", "logs/"))]
    delete_run(run)
    assert list_runs(tmp_path) == [] and [each.name for each in deleted_runs(tmp_path)] == [run.name]
    assert all(name.startswith("bin/") for name in files(tmp_path))
    assert restore_run(tmp_path, run.name) == run
    assert files(tmp_path) == before
    assert list_runs(tmp_path) == [run] and deleted_runs(tmp_path) == []


def test_an_erased_run_is_gone(run, tmp_path):
    delete_run(run)
    erase_run(tmp_path, run.name)
    assert files(tmp_path) == [] and deleted_runs(tmp_path) == []


def test_only_a_run_that_is_over_is_deleted(tmp_path):
    run = create_run_folder(tmp_path, "x")
    submit(run, Job(kind="train", name="x", arguments=()))
    with pytest.raises(InputError, match="is queued and cannot be deleted"):
        delete_run(run)
    assert list_runs(tmp_path) == [run]


@pytest.mark.parametrize("name", ["absent", "..", "../runs", ""])
def test_what_is_not_in_the_bin_is_neither_restored_nor_erased(run, tmp_path, name):
    for change in (restore_run, erase_run):
        with pytest.raises(InputError, match="is not in the bin"):
            change(tmp_path, name)
    assert run.path.is_dir()


def test_log_folders_of_the_users_own_stay(run, tmp_path):
    elsewhere = tmp_path / "my logs"
    elsewhere.mkdir()
    Reporter(run.path).update(outcome="finished", log_folder=str(elsewhere))
    delete_run(run)
    assert elsewhere.is_dir()


def test_the_disk_used_counts_every_file_once(run, tmp_path):
    without = disk_bytes(run)
    (run.path / "link").symlink_to(run.checkpoints / "x.safetensors")
    (run.path / "more").write_bytes(bytes(500))
    assert disk_bytes(run) == without + 500 and without > 1000
