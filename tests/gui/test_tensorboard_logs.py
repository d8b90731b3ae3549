"""The links by which TensorBoard finds the logs that runs write outside the workspace."""

from pathlib import Path

import pytest

from backend.runs.folder import Job, RunFolder, submit
from backend.runs.status import write_json
from gui.tensorboard_logs import LogLinks


@pytest.fixture
def workspace(tmp_path):
    return tmp_path / "workspace"


def log_of_run(workspace: Path, name: str, folder: Path) -> Path:
    """A log folder with a file, and a run that names it."""
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.1").touch()
    run = RunFolder(workspace / "runs" / name)
    run.path.mkdir(parents=True)
    submit(run, Job(kind="train", name="x", arguments=()))
    write_json(run.status_file, {"log_folder": str(folder)})
    return folder


def test_a_log_elsewhere_is_linked_under_the_name_of_its_run(workspace, tmp_path):
    folder = log_of_run(workspace, "run_1", tmp_path / "elsewhere" / "2026")
    links = LogLinks(workspace)
    links.refresh()
    links.refresh()
    assert (workspace / "logs" / "run_1").resolve() == folder
    assert (workspace / "logs" / "run_1" / "events.out.tfevents.1").exists()
    assert links.not_shown == []


def test_a_log_inside_the_workspaces_own_or_around_it_is_not_linked(workspace):
    log_of_run(workspace, "inside", workspace / "logs" / "2026")
    log_of_run(workspace, "around", workspace.parent / "around")
    write_json(workspace / "runs" / "around" / "status.json", {"log_folder": str(workspace.parent)})
    LogLinks(workspace).refresh()
    assert [path.name for path in (workspace / "logs").iterdir()] == ["2026"]


def test_a_link_goes_with_its_folder_and_comes_back_with_it(workspace, tmp_path):
    folder = log_of_run(workspace, "run_1", tmp_path / "disk" / "2026")
    links = LogLinks(workspace)
    links.refresh()
    folder.parent.rename(tmp_path / "unplugged")
    links.refresh()
    assert list((workspace / "logs").iterdir()) == []
    (tmp_path / "unplugged").rename(folder.parent)
    links.refresh()
    assert (workspace / "logs" / "run_1").resolve() == folder


def test_what_stands_in_the_place_of_a_link_stays_and_the_folder_is_told(workspace, tmp_path):
    folder = log_of_run(workspace, "run_1", tmp_path / "elsewhere")
    (workspace / "logs" / "run_1").mkdir(parents=True)
    links = LogLinks(workspace)
    links.refresh()
    assert links.not_shown == [folder]
    assert not (workspace / "logs" / "run_1").is_symlink()


def test_a_run_that_names_its_log_only_later_is_found_then(workspace, tmp_path):
    log_of_run(workspace, "run_1", tmp_path / "elsewhere")
    status = workspace / "runs" / "run_1" / "status.json"
    whole = status.read_text()
    write_json(status, {})
    write_json(workspace / "runs" / "run_1" / "process.json", {})
    links = LogLinks(workspace)
    links.refresh()
    assert list((workspace / "logs").iterdir()) == []
    status.write_text(whole)
    links.refresh()
    assert (workspace / "logs" / "run_1").is_symlink()
