"""A real server on a free loopback port, with a page of one field."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from gui.address import listen
from gui.gradio_import import prepare_gradio


class RunningPage:
    """The page's application served by a thread of the test: its address, a client for it, and its application."""

    def __init__(self, workspace: Path, **options: str) -> None:
        from gui.server import PageServer, build_application
        from gui.theme import appearance
        from tests.gui.tiny_page import build_page

        self.application = build_application(build_page, workspace=workspace, appearance=appearance, **options)
        listener = listen("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        ready = threading.Event()
        self._server = PageServer(self.application, listener, on_ready=ready.set)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve([listener])))
        self._thread.start()
        assert ready.wait(60)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False)

    def requests_in_progress(self) -> int:
        return len(self._server.server_state.tasks)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture(scope="session", autouse=True)
def _prepared_gradio(tmp_path_factory: pytest.TempPathFactory) -> None:
    prepare_gradio(tmp_path_factory.mktemp("uploads"))


@pytest.fixture
def serve_page(tmp_path: Path) -> Iterator[Callable[..., RunningPage]]:
    """Starts pages; each is ended after the test."""
    pages: list[RunningPage] = []

    def serve(workspace: Path = tmp_path, **options: str) -> RunningPage:
        pages.append(RunningPage(workspace, **options))
        return pages[-1]

    yield serve
    for page in pages:
        page.stop()
        page.client.close()
