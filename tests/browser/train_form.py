"""The form of the Train tab: its sections and fields."""

from __future__ import annotations

from playwright.sync_api import Locator, Page


def open_section(page: Page, title: str) -> None:
    page.get_by_role("navigation", name="Sections").get_by_role("button", name=title).click()


def field(page: Page, option: str) -> Locator:
    """What is typed into for an option."""
    return page.locator(f"#{option} input, #{option} textarea").first
