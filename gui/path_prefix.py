"""The page under a path of another site, as a reverse proxy serves it: https://example.org/loom/."""

from __future__ import annotations

import re

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.errors import InputError


def read_prefix(text: str) -> str:
    """A path prefix as `/loom`, "" for none. Raises InputError for what is no path."""
    path = text.strip().strip("/")
    if not path:
        return ""
    if not re.fullmatch(r"[\w.~-]+(/[\w.~-]+)*", path, flags=re.ASCII) or {".", ".."} & set(path.split("/")):
        raise InputError(f"--root-path {text}: is no path", hint="wanted something like /loom")
    return f"/{path}"


class PathPrefix:
    """ASGI middleware that takes the prefix off the path where the proxy has not done so.

    The page's own addresses are relative; of its routes none needs to know the prefix.
    """

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == self.prefix:
            await RedirectResponse(f"{self.prefix}/")(scope, receive, send)
            return
        if scope["type"] in ("http", "websocket") and scope["path"].startswith(f"{self.prefix}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self.prefix)}
            if raw := scope.get("raw_path"):
                scope["raw_path"] = raw.removeprefix(self.prefix.encode())
        await self.app(scope, receive, send)
