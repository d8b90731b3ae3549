"""The folders of the server inside the page, `POST /paths/list` with {"path": text}: no further than the roots."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from gui.roots import allowed_roots, is_inside, resolved_folder

MOST_ENTRIES = 2000


async def list_paths(request: Request) -> JSONResponse:
    """The folder at this path; of a path that leads nowhere the nearest folder above it that may be shown."""
    try:
        body = await request.json()
    except ValueError:
        body = None
    path = body.get("path") if isinstance(body, dict) else None
    if not isinstance(path, str):
        return JSONResponse({"error": 'wanted {"path": text}'}, status_code=400)
    return JSONResponse(await run_in_threadpool(list_folder, path, allowed_roots(request.app.state.workspace)))


def list_folder(text: str, roots: Sequence[Path]) -> dict[str, Any]:
    """The folder's path, the one above it, and its entries: folders first, hidden ones and links out of the roots left
    out.

    path: real, None where the roots themselves are the entries. above: None where that are the roots.
    is_cut: whether there are more than MOST_ENTRIES.
    """
    folder = _nearest_folder(text, roots)
    if folder is None:
        entries = [_entry(str(root), root) for root in roots]
        return {"path": None, "above": None, "entries": entries, "is_cut": False}
    found = [entry for child in _children(folder) if (entry := _shown(child, roots)) is not None]
    found.sort(key=lambda entry: (not entry["is_folder"], _natural(entry["name"])))
    above = folder.parent if is_inside(folder.parent, roots) and folder.parent != folder else None
    return {
        "path": str(folder),
        "above": None if above is None else str(above),
        "entries": found[:MOST_ENTRIES],
        "is_cut": len(found) > MOST_ENTRIES,
    }


def _nearest_folder(text: str, roots: Sequence[Path]) -> Path | None:
    """The folder itself, or the nearest one above it, if it lies inside the roots."""
    if not text.strip():
        return None
    path = Path(os.path.expanduser(text.strip()))  # noqa: PTH111 (pathlib's raises where there is no such home)
    for candidate in (path, *path.parents):
        folder = resolved_folder(candidate)
        if folder is not None:
            return folder if is_inside(folder, roots) else None
    return None


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # no permission, a drive that is gone
        return []


def _shown(child: Path, roots: Sequence[Path]) -> dict[str, Any] | None:
    """What is told of an entry; None for one that is hidden or leads out of the roots."""
    if child.name.startswith("."):
        return None
    try:
        real = child.resolve(strict=True)
        return _entry(child.name, child) if is_inside(real, roots) else None
    except (OSError, RuntimeError):  # a link to nowhere, a loop of links
        return None


def _entry(name: str, path: Path) -> dict[str, Any]:
    """size: in bytes, of a file."""
    is_folder = path.is_dir()
    return {"name": name, "path": str(path), "is_folder": is_folder, "size": None if is_folder else path.stat().st_size}


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts part2 before part10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part.casefold()) for part in re.split(r"(\d+)", name)]
