"""A small server that speaks the calls of Hugging Face's hub which uploads and downloads make, over loopback."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

REVISION = "0" * 40


class Hub:
    """files: by name inside the repository. created: what was asked for when the repository was made. tokens: seen."""

    def __init__(self, *, broken: bool = False) -> None:
        self.files: dict[str, bytes] = {}
        self.created: list[dict] = []
        self.tokens: set[str] = set()
        self.broken = broken
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Hub:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(hub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                path = urlsplit(self.path).path
                body = self._body()
                hub.tokens.add(self.headers.get("Authorization", ""))
                if hub.broken:
                    self._answer({"error": "out of order"}, status=507)
                elif path == "/api/repos/create":
                    hub.created.append(json.loads(body))
                    name = f"{hub.created[-1]['organization']}/{hub.created[-1]['name']}"
                    self._answer({"url": f"{hub.address}/{name}", "name": name})
                elif "/preupload/" in path:
                    wanted = json.loads(body)["files"]
                    self._answer(
                        {
                            "files": [
                                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False}
                                for each in wanted
                            ]
                        }
                    )
                elif "/commit/" in path:
                    for line in body.splitlines():
                        entry = json.loads(line)
                        if entry["key"] == "file":
                            hub.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
                    address = f"{hub.address}/ada/loras/commit/{REVISION}"
                    self._answer({"commitUrl": address, "commitOid": REVISION, "hookOutput": ""})
                else:
                    self._answer({"error": f"no call {path}"}, status=404)

            def do_GET(self) -> None:
                path = unquote(urlsplit(self.path).path)
                if "/resolve/" in path:
                    self._send_file(path.split("/resolve/")[1].partition("/")[2])
                elif "/tree/" in path:
                    self._answer([self._entry(name) for name in hub.files])
                elif "/revision/" in path or path.startswith("/api/models/"):
                    siblings = [{"rfilename": name} for name in hub.files]
                    self._answer({"id": "a/b", "sha": REVISION, "siblings": siblings, "private": False})
                else:
                    self._answer({"error": f"no call {path}"}, status=404)

            do_HEAD = do_GET

            def _entry(self, name: str) -> dict:
                return {"type": "file", "path": name, "size": len(hub.files[name]), "oid": self._etag(name)}

            def _etag(self, name: str) -> str:
                return hashlib.sha1(hub.files[name]).hexdigest()

            def _send_file(self, name: str) -> None:
                if name not in hub.files:
                    self._answer({"error": "Entry not found"}, status=404, headers={"X-Error-Code": "EntryNotFound"})
                    return
                headers = {"ETag": f'"{self._etag(name)}"', "X-Repo-Commit": REVISION}
                self._send(hub.files[name], "application/octet-stream", 200, headers)

            def _answer(self, content: object, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
                self._send(json.dumps(content).encode(), "application/json", status, headers or {})

            def _send(self, content: bytes, kind: str, status: int, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", "0")))
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def log_message(self, *_) -> None:
                pass

        return Handler
