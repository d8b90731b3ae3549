"""Going to a tab, wherever Gradio has put it."""

from __future__ import annotations

from playwright.sync_api import Page, TimeoutError, expect

SOON_MS = (2000, 4000, 8000, 16000)
"""How long a tab is waited for before it is looked for again: Gradio may just move it into the menu, or out of it."""


def open_tab(page: Page, name: str) -> None:
    """Click the tab; on a narrow screen it may stand in the menu behind the last one."""
    expect(page.locator("#loom-header h1")).to_be_attached()  # by then Gradio has laid the tabs out
    for timeout in SOON_MS:
        try:
            return _click(page, name, timeout)
        except TimeoutError:
            if page.get_by_role("tab", name=name, exact=True, selected=True).count():  # on a busy machine it came late
                return None
    return _click(page, name, SOON_MS[-1])


def _click(page: Page, name: str, timeout: float) -> None:
    tab = page.get_by_role("tab", name=name, exact=True)
    if tab.count():
        return tab.click(timeout=timeout)
    entry = page.locator("#loom-tabs .overflow-dropdown").get_by_role("button", name=name, exact=True)
    if not entry.is_visible():
        page.get_by_role("button", name="More tabs").click(timeout=timeout)
    return entry.click(timeout=timeout)
