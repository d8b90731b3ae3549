"""The bin of a workspace: runs that were deleted, each as a whole folder, until it is emptied."""

from __future__ import annotations

import shutil
from pathlib import Path

from backend.errors import InputError
from backend.runs.folder import RunFolder

BIN = "bin"
LOGS = "deleted_logs"
"""Under this name the run's log folder lies in its own while it is in the bin, so that TensorBoard loses it too."""


def delete_run(run: RunFolder) -> None:
    """Put a run that is over into the bin, with its event files. Raises InputError for one that waits or goes on.

    What it saved into an output folder of the user's own stays there.
    """
    state = run.state()
    if not state.is_over:
        raise InputError(f"{run.name}: is {state.value} and cannot be deleted", hint="stop it first")
    target = run.workspace / BIN / run.name
    if target.exists():
        raise InputError(f"{target}: a run of this name is in the bin already", hint="empty the bin first")
    target.parent.mkdir(exist_ok=True)
    logs = _own_logs(run)
    run.path.rename(target)
    if logs is not None:
        logs.rename(target / LOGS)


def deleted_runs(workspace: Path) -> list[RunFolder]:
    """The runs in the bin, the one submitted last first."""
    folder = workspace / BIN
    found = [RunFolder(path) for path in folder.iterdir()] if folder.is_dir() else []
    runs = [(run, job) for run in found if (job := run.job()) is not None]
    runs.sort(key=lambda entry: (entry[1].order, entry[1].submitted), reverse=True)
    return [run for run, _ in runs]


def restore_run(workspace: Path, name: str) -> RunFolder:
    """Take a run out of the bin, with its event files. Raises InputError if it is not there or its name is taken."""
    run = _find_deleted(workspace, name)
    restored = RunFolder(workspace / "runs" / name)
    if restored.path.exists():
        raise InputError(f"{restored.path}: exists already", hint="delete or rename it first")
    restored.path.parent.mkdir(exist_ok=True)
    logs, status = run.path / LOGS, run.status()
    if logs.is_dir() and status is not None and status.log_folder and not Path(status.log_folder).exists():
        logs.rename(status.log_folder)
    run.path.rename(restored.path)
    return restored


def erase_run(workspace: Path, name: str) -> None:
    """Remove a run in the bin for good. Raises InputError if it is not there."""
    shutil.rmtree(_find_deleted(workspace, name).path)


def disk_bytes(run: RunFolder) -> int:
    """What the run's folder takes on the disk; links are not followed."""
    sizes = (path.lstat().st_size for path in run.path.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(sizes)


def _find_deleted(workspace: Path, name: str) -> RunFolder:
    run = next((run for run in deleted_runs(workspace) if run.name == name), None)
    if run is None:
        raise InputError(f"{name!r} is not in the bin", hint="see runs list --deleted")
    return run


def _own_logs(run: RunFolder) -> Path | None:
    """The folder of the run's event files if it lies in the workspace's logs; elsewhere they are the user's own."""
    status = run.status()
    if status is None or not status.log_folder:
        return None
    folder = Path(status.log_folder)
    return folder if folder.parent == run.workspace / "logs" and folder.is_dir() else None
