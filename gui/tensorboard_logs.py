"""Links in the workspace's log folder to the logs that its runs write elsewhere: TensorBoard reads one folder only."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.runs.folder import RunFolder, find_run

NOT_SHOWN_PATH = "/logs/not_shown"
NAMES_PATH = "/logs/names"


def logs_not_shown(request: Request) -> JSONResponse:
    """Answers {"not_shown": [path, ...], "restarts", "last_end"}.

    They are the log folders of runs that TensorBoard cannot be led to, how often it ended by itself and was started
    again, and how it ended the last time.
    """
    links, tensorboard = request.app.state.log_links, request.app.state.tensorboard
    links.refresh()
    told = {"restarts": tensorboard.restarts, "last_end": tensorboard.last_end}
    return JSONResponse({"not_shown": [str(folder) for folder in links.not_shown], **told})


def log_names(request: Request) -> JSONResponse:
    """Answers {"names": [...]}: what TensorBoard's names begin with, of the runs ?run= that have logged anything."""
    workspace: Path = request.app.state.workspace
    runs = [find_run(workspace, name) for name in request.query_params.getlist("run")]
    names = [log_name(run) for run in runs if run is not None]
    return JSONResponse({"names": [name for name in names if name is not None]})


def log_name(run: RunFolder) -> str | None:
    """What TensorBoard calls the log folder of a run: its path in `logs`, or the name of the link to it there."""
    status = run.status()
    if status is None or not status.log_folder:
        return None
    logs, folder = (run.workspace / "logs").resolve(), Path(status.log_folder).resolve()
    return folder.relative_to(logs).as_posix() if folder.is_relative_to(logs) else run.name


class LogLinks:
    """`logs/<name of the run>` for each run whose log folder is not in `logs`; the logs stay where they are."""

    def __init__(self, workspace: Path) -> None:
        self.not_shown: list[Path] = []
        """Folders that could not be linked, as of the last refresh."""
        self._workspace = workspace
        self._logs = workspace / "logs"
        self._elsewhere: dict[str, Path | None] = {}  # by name of run; what was found once is not read again
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Make the links that are missing and remove those whose folder has gone. Nothing else is touched."""
        with self._lock:
            self._logs.mkdir(parents=True, exist_ok=True)
            for run in self._unread_runs():
                self._read(run)
            folders = {name: folder for name, folder in self._elsewhere.items() if folder is not None}
            self.not_shown = [folder for name, folder in folders.items() if not _show(folder, self._logs / name)]

    def _unread_runs(self) -> list[RunFolder]:
        """Those whose log folder is not known yet; the others, which may be thousands, are not looked at again."""
        runs = self._workspace / "runs"
        paths = runs.iterdir() if runs.is_dir() else ()
        return [RunFolder(path) for path in paths if path.name not in self._elsewhere]

    def _read(self, run: RunFolder) -> None:
        status = run.status()
        if status is not None and status.log_folder:
            self._elsewhere[run.name] = self._if_elsewhere(Path(status.log_folder))
        elif run.state().is_over:
            self._elsewhere[run.name] = None

    def _if_elsewhere(self, folder: Path) -> Path | None:
        """The folder, unless TensorBoard finds it anyway; one around the logs would make an endless tree."""
        logs, found = self._logs.resolve(), folder.resolve()
        is_elsewhere = not found.is_relative_to(logs) and not logs.is_relative_to(found)
        return folder if folder.is_absolute() and is_elsewhere else None


def _show(folder: Path, link: Path) -> bool:
    """Make or remove the link as the folder is there or not; False if the folder is there and cannot be linked."""
    try:
        if _is_link(link) and not link.exists():
            link.unlink()
        if not folder.is_dir():
            return True
        if not os.path.lexists(link):
            _make_link(link, folder)
        return link.resolve() == folder.resolve()
    except OSError:  # a file system without links, or one that cannot be written
        return False


def _is_link(path: Path) -> bool:
    try:
        path.readlink()  # for junctions too, which is_symlink does not know
    except OSError:
        return False
    return True


def _make_link(link: Path, folder: Path) -> None:
    try:
        link.symlink_to(folder, target_is_directory=True)
    except OSError:
        if sys.platform != "win32":
            raise
        import _winapi  # there only

        _winapi.CreateJunction(str(folder), str(link))  # a symbolic link is for administrators and developers
