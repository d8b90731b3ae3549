"""The form of the Train tab: its sections, its fields, and what is kept of them."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page

from backend.config.configuration import all_options
from gui.form import Draft, FieldValue
from tests.runs.jobs import wait_until


def open_section(page: Page, title: str) -> None:
    page.get_by_role("navigation", name="Sections").get_by_role("button", name=title).click()


def field(page: Page, option: str) -> Locator:
    """What is typed into for an option."""
    return page.locator(f"#{option} input, #{option} textarea").first


def expect_kept(workspace: Path, **fields: FieldValue) -> None:
    """Wait for the draft that the next page will show."""

    def is_kept() -> bool:
        return fields.items() <= dict(zip(all_options(), Draft(workspace).load(), strict=True)).items()

    wait_until(is_kept, timeout_s=60)
