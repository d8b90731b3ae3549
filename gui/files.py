"""Pictures and clips of the workspace, `/files/PATH`; nothing else of the machine can be read through the page."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

# Own table: what Windows' registry says of a type is anybody's guess. No SVG and no HTML: they could run script here.
MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}


def workspace_file(request: Request) -> Response:
    """The picture or clip at this path of the workspace; in parts where the browser asks for a range."""
    path = find_media(request.app.state.workspace, request.path_params["path"])
    if path is None:
        return PlainTextResponse("There is no such picture or clip in the workspace.\n", status_code=404)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return FileResponse(path, media_type=MEDIA_TYPES[path.suffix.lower()], headers=headers)


def find_media(workspace: Path, relative: str) -> Path | None:
    """The file, links followed, if it is a picture or a clip and lies inside the workspace; else None."""
    try:
        path = (workspace / relative).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # missing, a NUL in the name, a loop of links (before Python 3.13)
        return None
    is_inside = path.is_relative_to(workspace.resolve())
    return path if is_inside and path.suffix.lower() in MEDIA_TYPES and path.is_file() else None
