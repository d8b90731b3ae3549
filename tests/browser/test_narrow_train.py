"""The Train tab on a phone: the plan as a sheet from the bottom, the sections as a drop-down, nothing out of reach."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from gui.form import Draft, form_of
from tests.browser.servers import running_page
from tests.browser.test_accessibility import grave_findings
from tests.commands.tiny_project import TRANSFORMER, make_project

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("narrow")
    project = make_project(workspace / "project")
    values = {"dit": str(TRANSFORMER), "dataset_config": str(project.dataset_file), "mixed_precision": "no"}
    Draft(workspace).save(form_of({**values, "network_dim": 4, "max_train_steps": 60}))
    return workspace


@pytest.fixture(scope="module")
def address(workspace: Path) -> Iterator[str]:
    with running_page(workspace) as address:
        yield address


def bar(page: Page, says: str):
    return page.get_by_role("button", name=re.compile(f"^Plan {says}"))


def field(page: Page, option: str):
    return page.locator(f"#{option} input, #{option} textarea").first


def test_the_bar_tells_the_verdict_and_opens_the_plan_as_a_dialog(
    open_page: Callable[..., Page], address: str, screenshot: Callable[..., None]
):
    page = open_page(viewport=PHONE, color_scheme="light")
    page.goto(f"{address}?section=schedule")
    expect(bar(page, "Ready: 60 steps, ")).to_be_visible()
    expect(page.get_by_role("button", name="Start training")).not_to_be_visible()
    bar(page, "Ready").press("Enter")
    sheet = page.get_by_role("dialog", name="Plan")
    expect(sheet).to_contain_text("60 · 20 epochs")
    expect(sheet.get_by_role("button", name="Close")).to_be_focused()
    expect(sheet.get_by_role("button", name="Start training")).to_be_in_viewport()
    for beside in ("#loom-plan-open", "#option-search", "#loom-header h1", "[role=tab]"):
        assert page.locator(beside).first.evaluate("element => Boolean(element.closest('[inert]'))"), beside
    for _ in range(3):
        page.keyboard.press("Shift+Tab")  # out of the dialog's start there is nothing of the page
        assert page.evaluate(
            "document.activeElement === document.body || Boolean(document.activeElement.closest('[role=dialog]'))"
        )
    expect(sheet.locator("#plan svg").first).to_be_visible()  # drawn once there is a width
    sheet.get_by_role("tab", name="Command").scroll_into_view_if_needed()
    expect(sheet.get_by_role("button", name="Start training")).to_be_in_viewport()
    expect(sheet.get_by_role("button", name="Close")).to_be_in_viewport()
    assert grave_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    screenshot("narrow_sheet", page)
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    expect(bar(page, "Ready")).to_be_focused()
    bar(page, "Ready").click()
    page.mouse.click(200, 20)  # beside the sheet
    expect(sheet).to_have_count(0)


def test_a_problem_in_the_sheet_leads_to_its_field_and_stands_in_the_drop_down(
    open_page: Callable[..., Page], address: str, screenshot: Callable[..., None]
):
    page = open_page(viewport=PHONE, color_scheme="dark")
    page.goto(address)
    expect(bar(page, "Ready")).to_be_visible()
    section = page.get_by_role("combobox", name="Section")
    section.select_option(label="Schedule • differs")
    expect(page.locator("#section-schedule")).to_be_visible()
    field(page, "max_train_steps").fill("many")
    expect(bar(page, "1 problem")).to_be_visible()
    expect(section.locator("option:checked")).to_have_text("Schedule ✕ problem")
    section.select_option("saving")
    expect(field(page, "max_train_steps")).not_to_be_visible()
    assert grave_findings(page) == []
    screenshot("narrow_form", page)
    bar(page, "1 problem").click()
    page.get_by_role("dialog", name="Plan").get_by_role("link", name="Show").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(field(page, "max_train_steps")).to_be_focused()
    field(page, "max_train_steps").fill("60")
    expect(bar(page, "Ready")).to_be_visible()


def test_basic_leaves_sections_out_of_the_drop_down_and_the_chosen_one_stays(
    open_page: Callable[..., Page], address: str
):
    page = open_page(viewport=PHONE)
    page.goto(f"{address}?section=saving")
    expect(bar(page, "Ready")).to_be_visible()
    section = page.get_by_role("combobox", name="Section")
    page.get_by_role("button", name="Basic", exact=True).click()
    expect(section).to_have_value("saving")
    expect(section.locator("option[value=caching]")).to_be_disabled()
    expect(section.locator("option[value=network]")).to_be_enabled()


def test_a_page_that_becomes_wide_has_its_plan_beside_the_form(open_page: Callable[..., Page], address: str):
    page = open_page(viewport=PHONE)
    page.goto(address)
    bar(page, "Ready").click()
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Start training")).to_be_visible()
    expect(page.get_by_role("navigation", name="Sections")).to_be_visible()
    expect(page.locator("#loom-plan-open")).not_to_be_visible()
    page.get_by_role("tab", name="Monitor").click()
    expect(page.get_by_role("tab", name="Monitor")).to_have_attribute("aria-selected", "true")  # nothing stayed inert


def test_start_goes_to_the_monitor_and_leaves_nothing_inert(open_page: Callable[..., Page], address: str):
    page = open_page(viewport=PHONE)
    page.goto(address)
    bar(page, "Ready").click()
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("tab", name="Monitor")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Train").click()
    expect(bar(page, "")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
