"""Going to a tab, wherever Gradio has put it."""

from __future__ import annotations

from playwright.sync_api import Page, TimeoutError, expect

SOON_MS = 2000
"""How long a tab is waited for before it is looked for again: Gradio may just move it into the menu, or out of it."""


def open_tab(page: Page, name: str) -> None:
    """Click the tab; on a narrow screen it may stand in the menu behind the last one."""
    expect(page.locator("#loom-header h1")).to_be_attached()  # by then Gradio has laid the tabs out
    for _ in range(10):
        try:
            return _click(page, name)
        except TimeoutError:
            continue
    return _click(page, name)


def _click(page: Page, name: str) -> None:
    tab = page.get_by_role("tab", name=name, exact=True)
    if tab.count():
        return tab.click(timeout=SOON_MS)
    entry = page.locator("#loom-tabs .overflow-dropdown").get_by_role("button", name=name, exact=True)
    if not entry.is_visible():
        page.get_by_role("button", name="More tabs").click(timeout=SOON_MS)
    return entry.click(timeout=SOON_MS)
