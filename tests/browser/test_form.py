"""The scripts around the form: sections by address, search by keys, mistakes as a screen reader has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.config.network_args import OPTIONS as IN_NETWORK_ARGS
from gui.form import Draft, form_of
from tests.browser.servers import running_page


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("form")


@pytest.fixture(scope="module")
def address(workspace: Path) -> Iterator[str]:
    with running_page(workspace) as address:
        yield address


@pytest.fixture(autouse=True)
def _untouched_form(workspace: Path) -> None:
    Draft(workspace).save(form_of({}))


def open_form(page: Page, address: str) -> Locator:
    """The search field of a form that is there."""
    page.goto(address)
    expect(page.locator("#plan .loom-plan")).to_be_visible()
    return page.locator("#option-search")


def test_the_address_opens_a_section_and_the_first_if_there_is_none_of_that_name(page: Page, address: str):
    open_form(page, f"{address}?section=saving")
    expect(page.locator("#section-saving")).to_be_visible()
    open_form(page, f"{address}?section=bogus")
    expect(page.locator("#section-model")).to_be_visible()


def test_a_mistake_is_tied_to_its_field_and_what_start_answers_is_read_out(page: Page, address: str):
    open_form(page, f"{address}?section=network")
    field = page.locator("#network_dim input, #network_dim textarea").first
    expect(field).not_to_have_attribute("aria-invalid", "true")
    field.fill("thirty")
    expect(field).to_have_attribute("aria-invalid", "true")
    note = page.locator(f"#{field.get_attribute('aria-describedby')}")
    expect(note).to_contain_text("Rank (network_dim) is 'thirty'")
    field.fill("32")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#start-message")).to_have_attribute("role", "status")
    expect(page.locator("#start-message")).to_have_attribute("aria-live", "polite")


def test_the_hits_of_the_search_are_counted_aloud_and_reached_by_the_arrow_keys(page: Page, address: str):
    search = open_form(page, address)
    search.fill("learning rate")
    hits = page.locator("#option-hits button")
    expect(page.locator("#option-search-told")).to_have_text(f"{hits.count()} found; the arrow keys go to them")
    search.press("ArrowDown")
    expect(hits.first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(search).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#learning_rate input, #learning_rate textarea").first).to_be_focused()
    expect(hits.first).to_be_hidden()


def test_the_words_may_stand_in_any_order_and_every_hit_is_in_reach(page: Page, address: str):
    search = open_form(page, address)
    hits = page.locator("#option-hits button")
    search.fill("warmup lr")
    expect(hits.first).to_contain_text("lr_warmup_steps")
    search.fill("steps")
    expect(page.locator("#option-search-told")).to_have_text(f"{hits.count()} found; the arrow keys go to them")
    hits.last.focus()
    expect(hits.last).to_be_in_viewport()
    search.fill("network_args")
    expect(hits.filter(has_text="loraplus_lr_ratio")).to_be_visible()
    expect(hits).to_have_count(len(IN_NETWORK_ARGS))


COVERED_POINTS = """() => {
  const hits = document.querySelector("#option-hits");
  const { left, right, top, bottom } = hits.getBoundingClientRect();
  const points = [];
  for (let x = left + 5; x < right - 5; x += 8) for (let y = top + 5; y < bottom - 5; y += 4) points.push([x, y]);
  return points.filter(([x, y]) => !hits.contains(document.elementFromPoint(x, y))).length;
}"""


@pytest.mark.parametrize("width", [1280, 390])
def test_the_hits_lie_above_the_fields(page: Page, address: str, width: int):
    search = open_form(page, address)
    page.set_viewport_size({"width": width, "height": 800})
    search.fill("training")
    expect(page.locator("#option-hits button").nth(8)).to_be_in_viewport()
    assert page.evaluate(COVERED_POINTS) == 0


def test_escape_and_a_click_elsewhere_close_the_hits(page: Page, address: str):
    search = open_form(page, address)
    search.fill("rank")
    search.press("ArrowDown")
    page.keyboard.press("Escape")
    expect(search).to_be_focused()
    expect(page.locator("#option-hits")).to_be_hidden()
    search.fill("no such thing")
    expect(page.locator("#option-search-told")).to_have_text("no such option")
    page.get_by_role("heading", name="Plan").click()
    expect(page.locator("#option-hits")).to_be_hidden()
