"""The Train tab in a real browser: draft, mistakes and the way to them, search, presets, a Start that is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend.config.toml_file import read_toml
from backend.runs.folder import list_runs
from gui.form import Draft, form_of
from tests.browser.servers import running_page
from tests.browser.train_form import expect_kept, field, open_section


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("train tab")


@pytest.fixture(scope="module")
def address(workspace):
    with running_page(workspace) as address:
        yield address


@pytest.fixture
def train(page: Page, address: str, workspace: Path) -> Page:
    """The page with a form in which nothing was changed."""
    Draft(workspace).save(form_of({}))
    page.goto(address)
    expect(page.locator("#plan .loom-plan")).to_be_visible()
    expect(page.locator("#loom-sections-nav [aria-current=true]")).to_be_visible()  # the scripts have begun
    return page


def test_what_was_typed_survives_a_reload_exactly(train, workspace):
    open_section(train, "Optimizer")
    field(train, "learning_rate").fill("1e-5")
    open_section(train, "LoRA network")
    field(train, "exclude_patterns").fill(".*a=b.*\n.*é.*")
    train.get_by_text("List modules in the log").click()
    expect_kept(workspace, learning_rate="1e-5", exclude_patterns=".*a=b.*\n.*é.*", verbose=True)
    train.reload()
    expect(train.locator("#toml textarea")).to_have_value(re.compile(r"verbose=True"))
    expect(field(train, "learning_rate")).to_have_value("1e-5")
    expect(field(train, "exclude_patterns")).to_have_value(".*a=b.*\n.*é.*")
    open_section(train, "LoRA network")
    train.get_by_text("List modules in the log").click()
    field(train, "exclude_patterns").fill("")
    expect(train.locator("#toml textarea")).not_to_have_value(re.compile("network_args"))


def test_a_mistake_is_named_marked_and_one_click_away(train, screenshot):
    open_section(train, "LoRA network")
    field(train, "network_dim").fill("thirty")
    expect(train.locator("#plan")).to_contain_text("Rank (network_dim) is 'thirty'")
    expect(train.locator("#network_dim")).to_have_class(re.compile("loom-invalid"))
    open_section(train, "Saving")
    expect(field(train, "network_dim")).not_to_be_visible()
    screenshot("train_mistake")
    train.locator("#plan").get_by_role("link", name="Show").first.click()
    expect(field(train, "network_dim")).to_be_focused()
    field(train, "network_dim").fill("32")
    expect(train.locator("#network_dim")).not_to_have_class(re.compile("loom-invalid"))


def test_the_plan_follows_the_patterns_while_they_are_typed(train):
    open_section(train, "LoRA network")
    field(train, "exclude_patterns").press_sequentially("single_blocks")
    expect(train.locator("#plan")).to_contain_text("did you mean .*single_blocks.*?", ignore_case=True)
    expect(train.locator("#plan")).to_contain_text("240 of 320")
    field(train, "exclude_patterns").fill(".*single_blocks.*")
    expect(train.locator("#plan")).to_contain_text("160 of 320")
    field(train, "exclude_patterns").fill("")
    expect(train.locator("#plan")).to_contain_text("240 of 320")


def test_search_leads_to_an_option(train):
    train.keyboard.press("/")
    search = train.get_by_role("searchbox", name="Search options")
    expect(search).to_be_focused()
    search.press_sequentially("loraplus")
    search.press("Enter")
    expect(field(train, "loraplus_lr_ratio")).to_be_focused()


def test_the_form_begins_with_what_most_people_change(open_page, address):
    page = open_page(level=None)
    page.goto(address)
    level = page.get_by_role("group", name="Options shown")
    expect(level.get_by_role("button", name="Basic")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("navigation", name="Sections").get_by_role("button", name="Caching")).not_to_be_visible()


def test_basic_shows_what_most_people_change_and_search_finds_the_rest(train):
    train.get_by_role("group", name="Options shown").get_by_role("button", name="Basic").click()
    open_section(train, "LoRA network")
    expect(field(train, "network_dim")).to_be_visible()
    expect(train.locator("#network_dropout")).not_to_be_visible()
    expect(train.get_by_role("navigation", name="Sections").get_by_role("button", name="Caching")).not_to_be_visible()
    train.get_by_role("searchbox", name="Search options").press_sequentially("network_dropout")
    train.get_by_role("searchbox", name="Search options").press("Enter")
    expect(field(train, "network_dropout")).to_be_focused()
    level = train.get_by_role("group", name="Options shown")
    expect(level.get_by_role("button", name="All")).to_have_attribute("aria-pressed", "true")


def test_a_preset_is_saved_under_a_name_and_loaded_again(train, workspace):
    open_section(train, "Schedule")
    field(train, "max_train_steps").fill("77")
    expect(train.locator("#toml textarea")).to_have_value(re.compile("max_train_steps = 77"))
    train.get_by_role("button", name="Save, rename or delete").click()
    train.get_by_label("Save the form as").fill("meine Einstellung")
    train.locator("#preset-save").click()
    expect(train.locator("#preset-message")).to_contain_text("Saved as preset meine Einstellung")
    assert read_toml(workspace / "presets" / "meine Einstellung.toml")["schedule"]["max_train_steps"] == 77
    field(train, "max_train_steps").fill("1600")
    expect(train.locator("#toml textarea")).to_have_value(re.compile("max_train_steps = 1600"))
    train.locator("#preset-load").click()
    expect(field(train, "max_train_steps")).to_have_value("77")


def test_a_preset_cannot_take_a_shipped_name(train):
    train.get_by_role("button", name="Save, rename or delete").click()
    train.get_by_label("Save the form as").fill("demo")
    train.locator("#preset-save").click()
    expect(train.locator("#preset-message")).to_contain_text("is a shipped preset")


def test_start_without_a_model_is_refused_with_the_reasons_and_makes_no_run(train, workspace):
    train.get_by_role("button", name="Start training").click()
    expect(train.locator("#start-message")).to_contain_text("No transformer is chosen")
    expect(train.locator("#start-message")).to_contain_text("No dataset is chosen")
    assert list_runs(workspace) == []


def test_nothing_is_wider_than_a_phone(open_page, address, screenshot):
    page = open_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.goto(address)
    expect(page.locator("#loom-plan-told")).not_to_be_empty()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    screenshot("train_narrow_dark", page)
