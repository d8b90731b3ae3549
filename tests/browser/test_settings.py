"""The Settings tab: paths kept, language and appearance switched, the form unharmed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from gui.settings import read_settings
from tests.browser.servers import running_page


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("settings")


@pytest.fixture(scope="module")
def address(workspace):
    with running_page(workspace) as address:
        yield address


def test_paths_are_kept_and_put_into_the_form(page: Page, address, workspace, screenshot):
    page.goto(address)
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Transformer (DiT)", exact=True).last.fill("/models/dit.safetensors")
    page.get_by_label("Folders that the page may look into").fill("photos")
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_role("status").filter(has_text="is no absolute path")).to_be_visible()
    expect(page.get_by_label("Folders that the page may look into")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Folders that the page may look into").fill(str(workspace))
    page.get_by_role("button", name="Save settings").click()
    expect(page.get_by_role("status").filter(has_text="Kept in")).to_be_visible()
    assert read_settings(workspace).prefilled == {"dit": "/models/dit.safetensors"}
    page.locator(".loom-settings-row", has=page.get_by_label("Output folder")).get_by_role("button").click()
    dialog = page.get_by_role("dialog", name="Output folder: choose on the server")
    dialog.get_by_role("button", name=f"{workspace.resolve()}/").click()
    dialog.get_by_role("button", name="Use this folder").click()
    expect(page.locator("#settings-output_dir")).to_have_value(str(workspace.resolve()))
    page.get_by_role("button", name="Put into the form").click()
    screenshot("settings")
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#dit textarea, #dit input").first).to_have_value("/models/dit.safetensors")
    expect(page.locator("#plan")).to_contain_text("there is no such file")


def test_the_language_changes_and_the_form_stays(page: Page, address, screenshot):
    page.goto(address)
    expect(page.locator("#plan")).to_contain_text("Modules")  # by then the scripts have begun
    page.get_by_role("button", name="Saving", exact=True).click()
    page.locator("#output_name textarea, #output_name input").first.fill("mein_lora")
    expect(page.locator("#toml textarea")).to_have_value(re.compile("mein_lora"))
    page.get_by_role("tab", name="Settings").click()
    page.locator("#settings-language").select_option("ja")
    expect(page.get_by_role("tab", name="学習")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    expect(page.locator("#output_name textarea, #output_name input").first).to_have_value("mein_lora")
    page.get_by_role("tab", name="設定").click()
    screenshot("settings_ja")
    page.locator("#settings-language").select_option("en")
    expect(page.get_by_role("tab", name="Train")).to_be_visible()


def test_the_appearance_changes_at_once(page: Page, address, screenshot):
    page.goto(address)
    page.get_by_role("tab", name="Settings").click()
    page.get_by_label("Appearance", exact=True).select_option("dark")
    expect(page.locator("body")).to_have_class(re.compile("dark"))
    screenshot("settings_dark")


def test_a_browser_that_prefers_japanese_gets_it(open_page, address):
    page = open_page(locale="ja-JP")
    page.goto(address)
    expect(page.get_by_role("tab", name="学習")).to_be_visible()
