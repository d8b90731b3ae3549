"""The workspace's one TensorBoard, and the proxy that shows it under the page's own address."""

from __future__ import annotations

import asyncio
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
from starlette.background import BackgroundTask
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from backend.runs.process import own_group

PATH = "/tensorboard"
START_TIMEOUT_S = 60.0
PORTS_TO_TRY = 3
FIND_LOGS_S = 2.0
"""How often a page that is open makes us look for logs; TensorBoard itself looks as often, see --reload_interval."""


class TensorBoardError(Exception):
    """TensorBoard does not start; the message says how it ended and the last lines of its log."""


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class TensorBoard:
    """A TensorBoard process on a free loopback port: started when first wanted, started again when it has died.

    logs: the folder of event files, made if missing. output: the file that its stdout and stderr go to.
    find_logs: called in a thread before TensorBoard is started and now and then while it is looked at; it may bring
    further event files into `logs`. find_port: a port to try, asked again if it turns out to be taken.
    """

    def __init__(
        self,
        logs: Path,
        *,
        output: Path,
        find_logs: Callable[[], None] = lambda: None,
        find_port: Callable[[], int] = free_port,
    ) -> None:
        self.logs = logs.resolve()
        self.output = output
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        """How often it was started again because it had ended by itself."""
        self.last_end = ""
        """How it ended the last time, and the last lines of its log."""
        self._find_logs = find_logs
        self._found_logs = -FIND_LOGS_S
        self._find_port = find_port
        self._starting: asyncio.Task[str] | None = None
        # The system's proxy settings are for the internet, not for the loopback.
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(120.0, connect=5.0), trust_env=False)

    async def address(self) -> str:
        """`http://127.0.0.1:PORT` of a TensorBoard that answers; raises TensorBoardError."""
        has_started = self._starting is not None and self._starting.done()
        has_died = has_started and self.process is not None and self.process.poll() is not None
        if has_died and self._starting.exception() is None:
            self.restarts += 1
            self.last_end = self._failure()
        if self._starting is None or has_died:
            self._starting = asyncio.create_task(self._start())
        return await asyncio.shield(self._starting)  # it goes on for the others when one page no longer waits

    async def proxy(self, request: Request) -> Response:
        """TensorBoard's answer to a request for the page's own /tensorboard/..., streamed as it comes."""
        body = await request.body()
        await self._find_logs_again()
        for is_last_try in (False, True):
            try:
                answer = await self._ask(request, body)
            except TensorBoardError as error:
                return PlainTextResponse(f"{error}\n", status_code=503)
            except httpx.TransportError as error:
                if is_last_try:
                    return PlainTextResponse(f"TensorBoard does not answer: {error!r}\n", status_code=502)
                await asyncio.sleep(0.5)  # if it is dying, it is dead by then, and address() starts it again
            else:
                return _streamed(answer)
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """End the process, and wait until it is gone."""
        self._end_process()
        await self._client.aclose()

    async def _find_logs_again(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._found_logs >= FIND_LOGS_S:
            self._found_logs = now
            await asyncio.to_thread(self._find_logs)

    async def _ask(self, request: Request, body: bytes) -> httpx.Response:
        url = httpx.URL(await self.address()).copy_with(raw_path=_raw_target(request))
        outgoing = self._client.build_request(
            request.method, url, headers=forwarded_headers(request.headers), content=body
        )
        return await self._client.send(outgoing, stream=True)

    async def _start(self) -> str:
        for _ in range(PORTS_TO_TRY):  # between finding a free port and using it, another program may take it
            port, name = self._find_port(), f"TensorBoard {secrets.token_hex(4)}"
            self._launch(port, name)
            if await self._answers(port, name):
                return f"http://127.0.0.1:{port}"
        raise TensorBoardError(self._failure())

    def _launch(self, port: int, name: str) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        self.output.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["--logdir", str(self.logs), "--host", "127.0.0.1", "--port", str(port), "--path_prefix", PATH]
        arguments += ["--window_title", name, "--reload_interval", "2"]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gui.tensorboard_process", *arguments],
                cwd=Path(__file__).parents[1],  # so that `-m gui...` is found
                stdin=subprocess.PIPE,  # never written to: its end is what ends TensorBoard
                stdout=output,
                stderr=subprocess.STDOUT,
                **own_group(),  # Ctrl+C reaches the page only, which then ends TensorBoard in order
            )

    async def _answers(self, port: int, name: str) -> bool:
        """True once the TensorBoard of this name answers, and not one of somebody else on the port.

        False if it ends before, or does not answer within START_TIMEOUT_S.
        """
        give_up = asyncio.get_running_loop().time() + START_TIMEOUT_S
        while self.process.poll() is None:
            if await self._name_at(port) == name:
                return True
            await asyncio.sleep(0.1)
            if asyncio.get_running_loop().time() > give_up:
                self._end_process()
        return False

    async def _name_at(self, port: int) -> str:
        """The name of the TensorBoard that answers on the port; "" if none does, or another program."""
        try:
            answer = await self._client.get(f"http://127.0.0.1:{port}{PATH}/data/environment", timeout=2.0)
            return str(answer.json()["window_title"])
        except (httpx.TransportError, ValueError, KeyError, TypeError):  # what is no JSON, or another one, is not ours
            return ""

    def _failure(self) -> str:
        last_lines = self.output.read_text("utf-8", errors="replace").strip().splitlines()[-5:]
        return "\n".join([f"TensorBoard ended with exit code {self.process.returncode}.", *last_lines])

    def _end_process(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.stdin.close()
        try:
            self.process.wait(2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def forwarded_headers(headers: Headers) -> list[tuple[str, str]]:
    """The headers of a request for the page that TensorBoard gets to see."""
    kept = [(name, value) for name, value in headers.items() if name not in _KEPT_FROM_TENSORBOARD]
    if "accept-encoding" not in headers:
        kept.append(("accept-encoding", "identity"))  # else httpx asks for gzip, which this client does not expect
    return kept


# RFC 9110, 7.6.1: these concern one connection only.
_HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"} | {
    "proxy-authenticate",
    "proxy-authorization",
}
# The page's login and cookies are none of TensorBoard's business; httpx sets host and content-length itself.
_KEPT_FROM_TENSORBOARD = _HOP_BY_HOP | {"authorization", "cookie", "host", "content-length"}


def _raw_target(request: Request) -> bytes:
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    query = request.scope["query_string"]
    return path + b"?" + query if query else path


def _streamed(answer: httpx.Response) -> StreamingResponse:
    # Raw: as compressed by TensorBoard, for the browser to unpack.
    response = StreamingResponse(answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose))
    response.raw_headers = [
        (name.lower(), value) for name, value in answer.headers.raw if name.lower().decode() not in _HOP_BY_HOP
    ]
    return response
