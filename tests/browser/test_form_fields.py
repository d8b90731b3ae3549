"""Marks, resets, greyed fields, checked paths and the server's folders in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from gui.form import Draft, form_of
from tests.browser.servers import running_page
from tests.browser.train_form import expect_kept, open_section

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With model files to choose, a link that leads out, and a preset of two options."""
    workspace = tmp_path_factory.mktemp("fields")
    for folder in ("models", "presets", ".hidden"):
        (workspace / folder).mkdir()
    copy(GOLDEN / "dit_model.safetensors", workspace / "models")
    (workspace / "models" / "way out").symlink_to("/etc")
    (workspace / "settings.toml").write_text(f"allowed_roots = ['{workspace}']\n", encoding="utf-8")
    preset = '[preset]\ntitle = "Mine"\n[network]\nnetwork_dim = 8\n[optimizer]\nlearning_rate = 1e-4\n'
    (workspace / "presets" / "mine.toml").write_text(preset, encoding="utf-8")
    return workspace


@pytest.fixture(scope="module")
def address(workspace: Path) -> Iterator[str]:
    with running_page(workspace) as address:
        yield address


@pytest.fixture
def train(page: Page, address: str, workspace: Path) -> Page:
    """The page with a form in which nothing was changed."""
    Draft(workspace).save(form_of({}))
    page.goto(address)
    expect(page.locator("#loom-differing")).not_to_be_empty(timeout=60_000)
    return page


def rank(page: Page) -> Locator:
    return page.get_by_role("textbox", name=re.compile("^Rank Rank of the matrices"))


def transformer(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Transformer (DiT)")


def test_a_field_that_differs_is_marked_and_led_back_and_numbers_stay_as_typed(train: Page):
    open_section(train, "Optimizer")
    rate = train.get_by_role("textbox", name=re.compile("^Learning rate Size"))
    rate.fill("0.0002")
    reset = train.get_by_role("button", name="Reset Learning rate to: 2e-4")
    expect(reset).to_have_count(0)  # the same number, written otherwise
    rate.fill("1e-5")
    expect(reset).to_be_visible()
    expect(train.locator("#loom-differing")).to_have_text("No preset: compared with the defaults · 1 field differs")
    open_section(train, "Memory and speed")
    checkpointing = train.get_by_role("checkbox", name="Gradient checkpointing", exact=True)
    checkpointing.check()
    expect(train.locator("#loom-differing")).to_contain_text("2 fields differ")
    train.get_by_role("button", name="Reset Gradient checkpointing to: off").click()
    expect(checkpointing).not_to_be_checked()
    open_section(train, "Optimizer")
    expect(rate).to_have_value("1e-5")
    reset.click()
    expect(rate).to_have_value("2e-4")
    expect(rate).to_be_focused()
    expect(train.locator("#loom-differing")).to_contain_text("no field differs")


def test_the_loaded_preset_is_what_the_form_is_compared_with(train: Page, workspace: Path):
    train.get_by_label("Preset").click()
    train.get_by_role("option", name="Mine").click()
    train.locator("#preset-load").click()
    expect(train.locator("#loom-differing")).to_have_text("Preset: Mine · no field differs")
    open_section(train, "LoRA network")
    expect(rank(train)).to_have_value("8")
    rank(train).fill("32")
    expect(train.get_by_role("button", name="Reset Rank to: 8")).to_be_visible()
    expect_kept(workspace, network_dim="32")
    train.reload()
    expect(train.locator("#loom-differing")).to_have_text("Preset: Mine · 1 field differs")
    expect(train.get_by_label("Preset")).to_have_value("Mine")
    open_section(train, "LoRA network")
    train.get_by_role("button", name="Reset Rank to: 8").click()
    expect(train.locator("#loom-differing")).to_contain_text("no field differs")


def test_a_field_that_a_choice_puts_out_of_use_is_greyed_with_the_reason(train: Page, screenshot: Any):
    open_section(train, "LoRA network")
    factor = train.get_by_label("LoKr factor")
    expect(factor).to_have_accessible_description(re.compile("No effect: Network module is networks.lora"))
    train.get_by_label("Network module").click()
    train.get_by_role("option", name="networks.lokr").click()
    expect(train.locator("#factor")).not_to_contain_text("No effect")
    expect(train.get_by_text("No effect: Network module is networks.lokr").first).to_be_visible()
    screenshot("greyed_fields", train)
    train.get_by_role("button", name=re.compile("^Reset Network module")).click()
    expect(train.locator("#factor")).to_contain_text("No effect")


def test_a_typed_path_is_checked_on_the_server(train: Page, workspace: Path):
    field = transformer(train)
    about = train.locator("#dit").get_by_role("status")
    late = workspace / "models" / "late.safetensors"
    field.fill(str(late))
    expect(about).to_have_text("▲ nothing is there")
    field.blur()
    copy(GOLDEN / "dit_model.safetensors", late)
    field.focus()
    expect(about).to_have_text(re.compile("^HunyuanVideo transformer"))
    late.unlink()
    field.fill(str(workspace / "models"))
    expect(about).to_have_text("▲ this is a folder, a file is wanted")
    field.fill(str(workspace / "models" / "dit_model.safetensors"))
    expect(about).to_have_text(re.compile(r"^HunyuanVideo transformer · BF16 · \d+\.\d [KM]iB$"))
    expect_kept(workspace, dit=str(workspace / "models" / "dit_model.safetensors"))
    field.fill("")
    expect(about).to_have_text("")
    expect_kept(workspace, dit="")


def test_a_path_is_chosen_by_keys_in_the_servers_folders_and_no_way_leads_out(
    train: Page, workspace: Path, screenshot: Any
):
    train.locator("#dit").get_by_role("button", name="Browse…").click()
    dialog = train.get_by_role("dialog", name="Transformer (DiT): choose on the server")
    entries = dialog.get_by_role("list", name="Files and folders").get_by_role("button")
    expect(entries).to_have_text([str(workspace.resolve()) + "/"])
    train.keyboard.press("Enter")
    expect(dialog.get_by_role("status")).to_have_text(str(workspace.resolve()))
    expect(dialog.get_by_role("button", name=".hidden/")).to_have_count(0)
    dialog.get_by_role("button", name="models/").click()
    expect(entries).to_have_text(["↑ one folder up", "dit_model.safetensors"])
    screenshot("folders", train)
    train.keyboard.press("ArrowDown")
    train.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    chosen = str(workspace.resolve() / "models" / "dit_model.safetensors")
    expect(transformer(train)).to_have_value(chosen)
    train.locator("#dit").get_by_role("button", name="Browse…").click()
    expect(dialog.get_by_role("status")).to_have_text(str(workspace.resolve() / "models"))
    train.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(transformer(train)).to_have_value(chosen)


def test_the_search_finds_an_option_by_its_help_and_by_its_english_name_in_japanese(open_page: Any, address: str):
    page = open_page(locale="ja")
    page.goto(address)
    expect(page.locator("#loom-differing")).not_to_be_empty(timeout=60_000)
    page.keyboard.press("/")
    page.keyboard.type("doubtless nowhere")
    expect(page.get_by_role("status").filter(has_text="該当するオプションはありません")).to_have_count(1)
    page.locator("#option-search").fill("samples break")  # in the help of the learning rate
    page.keyboard.press("Enter")
    expect(page.locator("#learning_rate textarea, #learning_rate input").first).to_be_focused()
