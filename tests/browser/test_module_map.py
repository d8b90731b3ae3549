"""The card "Modules to train" in a real browser: selections, pattern rows, findings, the map by mouse and keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.servers import running_page


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_page(tmp_path_factory.mktemp("map")) as address:
        yield address


@pytest.fixture
def network(page: Page, address: str) -> Page:
    """The section LoRA network with everything trained."""
    page.goto(f"{address}?section=network")
    selection(page, "All").click()
    expect(legend(page)).to_contain_text("trained 240", timeout=60_000)
    return page


def selection(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name="Common selections").get_by_role("button", name=name, exact=True)


def legend(page: Page) -> Locator:
    return page.get_by_role("status").filter(has_text="excluded by default")


def cell(page: Page, name: str) -> Locator:
    return page.get_by_role("gridcell", name=re.compile(rf"^{re.escape(name)}: "))


def rows(page: Page, label: str) -> list[str]:
    inputs = page.get_by_role("list", name=label).get_by_role("textbox")
    return [inputs.nth(index).input_value() for index in range(inputs.count() - 1)]


def new_row(page: Page, label: str) -> Locator:
    return page.get_by_role("textbox", name=f"{label}, new row")


def detail(page: Page) -> Locator:
    return page.locator("#loom-map-detail")


def test_a_common_selection_writes_its_patterns_and_the_map_and_the_plan_follow(network: Page, screenshot: Any):
    selection(network, "Single blocks from the 10th").click()
    expect(legend(network)).to_contain_text("trained 60")
    expect(legend(network)).to_contain_text("not trained 180")
    expect(selection(network, "Single blocks from the 10th")).to_have_attribute("aria-pressed", "true")
    assert rows(network, "Exclude patterns") == [".*"]
    assert rows(network, "Include patterns") == [r".*single_blocks\.\d{2}\.linear.*"]
    expect(network.get_by_role("list", name="Include patterns")).to_contain_text("60 modules")
    expect(network.locator("#plan")).to_contain_text("60 of 320")
    expect(cell(network, "single_blocks.24.linear1")).to_have_attribute("aria-selected", "true")
    expect(cell(network, "single_blocks.9.linear1")).to_have_attribute("aria-selected", "false")
    screenshot("module_map", network)


def test_pointing_tells_name_shape_parameters_and_the_pattern_that_decided(network: Page):
    selection(network, "Single blocks from the 10th").click()
    expect(legend(network)).to_contain_text("trained 60")
    cell(network, "single_blocks.24.linear1").hover()
    expect(detail(network)).to_contain_text("single_blocks.24.linear1 · 3072 → 21504 · 786,432 parameters at rank 32")
    expect(detail(network)).to_contain_text(
        r"trained, because include .*single_blocks\.\d{2}\.linear.* rescues it from exclude .*"
    )
    cell(network, "double_blocks.0.img_attn_qkv").hover()
    expect(detail(network)).to_contain_text("not trained, because exclude .* matches it")
    network.get_by_role("rowheader", name="linear1, all blocks").hover()
    expect(detail(network)).to_contain_text("30 of 40 trained")


def test_the_map_is_walked_and_changed_by_keys(network: Page):
    first = cell(network, "double_blocks.0.img_attn_qkv")
    first.focus()
    network.keyboard.press("ArrowRight")
    network.keyboard.press("ArrowDown")
    focused = cell(network, "double_blocks.1.img_attn_proj")
    expect(focused).to_be_focused()
    expect(detail(network)).to_contain_text("double_blocks.1.img_attn_proj")
    network.keyboard.press("Enter")
    expect(focused).to_have_attribute("aria-selected", "false")
    assert rows(network, "Exclude patterns") == [r"double_blocks\.1\.img_attn_proj"]
    expect(focused).to_be_focused()
    network.keyboard.press(" ")
    expect(focused).to_have_attribute("aria-selected", "true")
    assert rows(network, "Exclude patterns") == []
    network.keyboard.press("Home")
    expect(network.get_by_role("rowheader", name="img_attn_proj, all blocks")).to_be_focused()
    network.keyboard.press("Control+End")
    expect(network.get_by_role("columnheader", name="Double blocks, block 19")).to_be_focused()
    network.keyboard.press("Tab")
    expect(cell(network, "single_blocks.0.linear1")).to_be_focused()


def test_a_click_takes_one_module_out_and_the_next_brings_it_back(network: Page):
    clicked = cell(network, "single_blocks.24.linear1")
    clicked.click()
    expect(legend(network)).to_contain_text("trained 239")
    expect(clicked).to_have_attribute("aria-selected", "false")
    assert rows(network, "Exclude patterns") == [r"single_blocks\.24\.linear1"]
    clicked.click()
    expect(legend(network)).to_contain_text("trained 240")
    assert rows(network, "Exclude patterns") == []


def test_a_row_is_dragged_to_its_place(network: Page):
    area = network.locator("#exclude_patterns textarea")
    for pattern in (".*a.*", ".*b.*", ".*c.*"):
        new_row(network, "Exclude patterns").fill(pattern)
        network.keyboard.press("Enter")
    handles = [
        network.get_by_role("button", name=f"Move row {number} of Exclude patterns", exact=True) for number in (3, 1)
    ]
    handles[0].hover()
    network.mouse.down()
    handles[1].hover()
    network.mouse.up()
    expect(area).to_have_value(".*c.*\n.*a.*\n.*b.*")
    selection(network, "All").click()
    expect(area).to_have_value("")


def test_a_row_head_and_a_block_number_stand_for_all_their_modules(network: Page):
    network.get_by_role("rowheader", name="img_attn_qkv, all blocks").click()
    expect(legend(network)).to_contain_text("trained 220")
    assert rows(network, "Exclude patterns") == [r"double_blocks\.\d+\.img_attn_qkv"]
    network.get_by_role("columnheader", name="Single blocks, block 5", exact=True).click()
    expect(legend(network)).to_contain_text("trained 218")
    network.get_by_role("columnheader", name="Single blocks, block 5", exact=True).click()
    network.get_by_role("rowheader", name="modulation.linear, all blocks").click()
    expect(legend(network)).to_contain_text("trained 260")
    assert rows(network, "Include patterns") == [r"single_blocks\.\d+\.modulation\.linear"]


def test_a_pattern_that_fits_only_a_part_is_replaced_by_what_was_meant_in_one_click(network: Page):
    new_row(network, "Exclude patterns").press_sequentially("single_blocks")
    expect(network.get_by_text("matches no whole name, only a part of 120")).to_be_visible()
    expect(network.get_by_role("list", name="Exclude patterns")).to_contain_text("matches nothing")
    network.get_by_role("button", name=".*single_blocks.*", exact=True).click()
    expect(legend(network)).to_contain_text("trained 160")
    assert rows(network, "Exclude patterns") == [".*single_blocks.*"]


def test_an_invalid_a_hostile_and_an_idle_pattern_are_named_and_the_map_stays(network: Page):
    new_row(network, "Exclude patterns").fill("ab(c")
    findings = network.locator(".loom-findings")
    expect(findings).to_contain_text("missing ), unterminated subpattern at position 2.")
    expect(legend(network)).to_contain_text("trained 240")
    findings.get_by_role("button", name="Show").click()
    row = network.get_by_role("textbox", name="Exclude patterns, row 1")
    expect(row).to_be_focused()
    assert row.evaluate("input => input.selectionStart") == 2
    row.fill(r"([a-z_0-9.]+)+\$")
    expect(findings).to_contain_text("takes too long to match")
    row.fill("")
    new_row(network, "Include patterns").fill(".*linear1")
    expect(findings).to_contain_text("matches only modules that are trained anyway (40)")


def test_rows_are_added_pasted_moved_and_removed_by_keys(network: Page):
    area = network.locator("#exclude_patterns textarea")
    new_row(network, "Exclude patterns").fill(".*a.*")
    network.keyboard.press("Enter")
    expect(new_row(network, "Exclude patterns")).to_be_focused()
    network.evaluate(
        """() => {
          const data = new DataTransfer();
          data.setData("text", ".*b.*\\n\\n.*c=d.*\\n");
          document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }"""
    )
    expect(area).to_have_value(".*a.*\n.*b.*\n.*c=d.*")
    network.get_by_role("textbox", name="Exclude patterns, row 3").press("Alt+ArrowUp")
    expect(area).to_have_value(".*a.*\n.*c=d.*\n.*b.*")
    network.get_by_role("button", name="Move row 2 of Exclude patterns", exact=True).press("ArrowUp")
    expect(area).to_have_value(".*c=d.*\n.*a.*\n.*b.*")
    network.get_by_role("button", name="Remove row 2 of Exclude patterns").click()
    expect(area).to_have_value(".*c=d.*\n.*b.*")
    expect(network.locator("#toml textarea")).to_have_value(re.compile(r"c\\\\x3dd"))
    selection(network, "All").click()
    expect(area).to_have_value("")
    assert rows(network, "Exclude patterns") == []


def test_scale_and_both_learning_rates_stand_beside_their_fields(network: Page):
    alpha = network.get_by_role("textbox", name=re.compile("^Alpha Strength"))
    ratio = network.get_by_role("textbox", name=re.compile("^LoRA. ratio"))
    alpha.fill("16")
    expect(network.locator("#network_alpha output")).to_have_text("Scale alpha / rank = 0.5")
    ratio.fill("4")
    expect(network.locator("#loraplus_lr_ratio output")).to_have_text("up 8e-4 · down 2e-4")
    ratio.fill("")
    expect(network.locator("#loraplus_lr_ratio output")).to_have_text("")
    alpha.fill("1")
    expect(network.locator("#network_alpha output")).to_have_text("Scale alpha / rank = 0.03125")


def test_the_map_fits_a_phone_and_speaks_japanese(open_page: Any, address: str, screenshot: Any):
    page = open_page(viewport={"width": 390, "height": 844}, color_scheme="dark", locale="ja")
    page.goto(f"{address}?section=network")
    expect(page.get_by_role("grid", name="ダブルブロック")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    screenshot("module_map_narrow_dark_ja", page)
