"""Going to a tab, wherever Gradio has put it."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def open_tab(page: Page, name: str) -> None:
    """Click the tab; on a narrow screen it may stand in the menu behind the last one."""
    expect(page.locator("#loom-header h1")).to_be_attached()  # by then Gradio has laid the tabs out
    if page.get_by_role("tab", name=name, exact=True).count():
        page.get_by_role("tab", name=name, exact=True).click()
    else:
        page.get_by_role("button", name="More tabs").click()
        page.locator("#loom-tabs .overflow-dropdown").get_by_role("button", name=name, exact=True).click()
