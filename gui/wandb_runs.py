"""wandb as the page shows it: whether it is logged in, a run's page there, and sending what was kept offline."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from backend.config.toml_file import read_configuration
from backend.errors import UserError
from backend.runs.folder import RunFolder, find_run
from backend.runs.process import own_group
from backend.runs.secrets import load_secrets
from backend.runs.wandb_login import find_login, is_offline
from gui.log_index import ESCAPES, LogIndex
from gui.run_actions import no_run

ADDRESS = re.compile(r"https?://[^\s\x1b]+/runs/[\w-]+")
LAST_WORDS = 400


@dataclass
class WandbSync:
    """Sends the data of runs that wandb kept offline, one `wandb sync` for each run at a time."""

    workspace: Path
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _ended: dict[str, tuple[int, str]] = field(default_factory=dict)

    def start(self, run: RunFolder, folders: list[Path]) -> None:
        """Begin to send these folders, unless that goes on already."""
        if run.name not in self._running:
            self._running[run.name] = asyncio.create_task(self._sync(run, folders))

    def state(self, run: RunFolder) -> dict[str, Any]:
        """{"syncing": bool, "failed": what `wandb sync` said if it failed the last time, else ""}."""
        code, words = self._ended.get(run.name, (0, ""))
        return {"syncing": run.name in self._running, "failed": words if code else ""}

    async def close(self) -> None:
        """End what goes on."""
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _sync(self, run: RunFolder, folders: list[Path]) -> None:
        process = None
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "wandb", "sync", *map(str, folders)),
                cwd=run.path,
                env=wandb_environment(self.workspace),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                **own_group(),
            )
            output, _ = await process.communicate()
            words = ESCAPES.sub("", output.decode(errors="replace")).strip()
            self._ended[run.name] = process.returncode or 0, words[-LAST_WORDS:]
        finally:
            if process is not None and process.returncode is None:
                process.kill()
            self._running.pop(run.name, None)


def wandb_environment(workspace: Path) -> dict[str, str]:
    """The environment with the key of the workspace's secrets. Raises OptionError where these cannot be read."""
    environment = dict(os.environ)
    load_secrets(workspace, environment)
    return environment


def wandb_login(request: Request) -> JSONResponse:
    """Answers {"login": "environment", "home" or "", "offline": bool, "problem": why the secrets cannot be read}."""
    try:
        environment, problem = wandb_environment(request.app.state.workspace), ""
    except UserError as error:
        environment, problem = dict(os.environ), str(error)
    return JSONResponse({"login": find_login(environment), "offline": is_offline(environment), "problem": problem})


def run_in_wandb(request: Request) -> JSONResponse:
    """Answers {"used", "address", "unsynced": how many folders wait to be sent, "syncing", "failed"} of a run."""
    run = find_run(request.app.state.workspace, request.path_params["name"])
    if run is None:
        return no_run(request)
    sync: WandbSync = request.app.state.wandb_sync
    used = uses_wandb(run)
    return JSONResponse(
        {
            "used": used,
            "address": wandb_address(run) if used else "",
            "unsynced": len(unsynced_folders(run)) if used else 0,
            **sync.state(run),
        }
    )


async def sync_run(request: Request) -> JSONResponse:
    """Begin to send what wandb kept offline of a run; 409 if there is nothing of it."""
    run = find_run(request.app.state.workspace, request.path_params["name"])
    if run is None:
        return no_run(request)
    folders = await asyncio.to_thread(unsynced_folders, run)
    if not folders or not run.state().is_over:
        return JSONResponse({"error": "there is nothing to send, or the run still writes it"}, status_code=409)
    request.app.state.wandb_sync.start(run, folders)
    return JSONResponse({"run": run.name})


def uses_wandb(run: RunFolder) -> bool:
    """Whether the run logs to wandb."""
    try:
        return read_configuration(run.config_file).logging.log_with in ("wandb", "all")
    except UserError:
        return False


def wandb_address(run: RunFolder) -> str:
    """The page of the run at wandb, which wandb writes into its log; "" while there is none."""
    try:
        found = LogIndex(run.log_file).search("View run", limit=5).matches
    except OSError:
        return ""
    lines = (ESCAPES.sub("", line) for _, line in found)
    return next((match[0] for line in lines if (match := ADDRESS.search(line))), "")


def unsynced_folders(run: RunFolder) -> list[Path]:
    """The folders that wandb has kept offline and that were not sent yet."""
    status = run.status()
    if status is None or not status.log_folder:
        return []
    folders = sorted(Path(status.log_folder).glob("wandb/offline-run-*"))
    return [folder for folder in folders if folder.is_dir() and not any(folder.glob("*.synced"))]
