"""The page in each language under one address: a request gets that of its browser, or the one its user has chosen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from gui.texts import LANGUAGE_COOKIE, wanted_language


class PageInLanguages:
    """ASGI application that hands each request to the page of its language.

    pages: a Gradio application for each language, alike in all but their texts, so that a page that is open while its
    user changes the language in another window goes on.
    """

    def __init__(self, pages: Mapping[str, FastAPI]) -> None:
        self.pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.pages[language_of(HTTPConnection(scope))](scope, receive, send)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """What each page does at its start and its end; a mounted application is not asked for it by itself."""
        async with AsyncExitStack() as stack:
            for page in self.pages.values():
                await stack.enter_async_context(page.router.lifespan_context(page))
            yield


def language_of(request: HTTPConnection) -> str:
    """The language to answer a request in."""
    return wanted_language(
        chosen=request.cookies.get(LANGUAGE_COOKIE), accepted=request.headers.get("accept-language", "")
    )
