"""A real Chromium, a fresh profile for each test, and screenshots to look at in screenshots/, which git ignores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from launch import find_chromium

SCREENSHOTS = Path(__file__).resolve().parents[2] / "screenshots"

CHROMIUM_OPTIONS = (
    "--no-sandbox",  # there is none in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium, else the one that Playwright has installed.

    Closed with the last test of this folder: Playwright's event loop would be in the way of others in this thread.
    """
    expect.set_options(timeout=30_000)  # a safety net for a slow machine; each wait ends as soon as it can
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium() or None, args=list(CHROMIUM_OPTIONS))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages, each in a profile of its own; options as `Browser.new_context` takes them.

    level: of the options that the form shows, in place of the one that it begins with.

    After the test, an error in a script or a request to another machine fails it.
    """
    contexts = []
    faults: list[str] = []

    def note_request(url: str) -> None:
        if url.startswith("http") and "//127.0.0.1" not in url:
            faults.append(f"a request to elsewhere: {url}")

    def open_one(*, level: str | None = "all", **options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        if level:
            context.add_init_script(f"localStorage['loom-options'] ??= '{level}'")
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"a script's error: {error}"))
        page.on("request", lambda request: note_request(request.url))
        page.set_default_timeout(60_000)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """A page of 1280 x 900, light."""
    return open_page(color_scheme="light")


@pytest.fixture
def screenshot(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Saves what the page shows as screenshots/NAME.png."""

    def save(name: str, page: Page | None = None) -> None:
        SCREENSHOTS.mkdir(exist_ok=True)
        shown = page or request.getfixturevalue("page")
        shown.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return save
