"""The Dataset tab in a real browser: a folder becomes a dataset, is looked at, captioned and cached."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from backend.config.dataset import read_dataset_file
from backend.runs.folder import list_runs
from tests.browser.servers import running_page
from tests.gui.dataset_project import make_dataset


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("dataset")
    make_dataset(workspace / "data")
    return workspace


@pytest.fixture(scope="module")
def address(workspace):
    with running_page(workspace) as address:
        yield address


def open_file(page: Page, address: str, workspace) -> None:
    page.goto(address)
    page.get_by_role("tab", name="Dataset").click()
    page.get_by_label("File (.toml)").fill(str(workspace / "data" / "dataset.toml"))
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_text("Pictures: 3, clips: 2.")).to_be_visible()


def test_a_new_dataset_file_leaves_the_opened_one_alone_and_is_named_after_its_folder(page: Page, address, workspace):
    open_file(page, address, workspace)
    before = (workspace / "data" / "dataset.toml").read_bytes()
    page.get_by_role("button", name="New", exact=True).click()
    expect(page.get_by_role("group", name="Dataset 1")).to_have_count(0)
    page.get_by_label("Make datasets of a folder").fill("/etc")
    page.get_by_role("button", name="Propose").click()
    expect(page.locator(".loom-told.loom-wrong")).to_contain_text("/etc: lies where this page may not look")
    page.get_by_label("Make datasets of a folder").fill(str(workspace / "data" / "pictures"))
    page.get_by_role("button", name="Propose").click()
    own = workspace / "datasets" / "pictures.toml"
    expect(page.get_by_label("File (.toml)")).to_have_value(str(own))
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("the form uses it now")).to_be_visible()
    assert len(read_dataset_file(own).datasets) == 1
    assert (workspace / "data" / "dataset.toml").read_bytes() == before


def test_a_folder_becomes_a_dataset_that_the_form_uses(page: Page, address, workspace):
    path = workspace / "new.toml"
    page.goto(address)
    page.get_by_role("tab", name="Dataset").click()
    page.get_by_label("File (.toml)").fill(str(path))
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_text("There is no such file yet")).to_be_visible()
    page.locator(".loom-settings-row", has=page.get_by_label("Make datasets of a folder")).get_by_text("Browse").click()
    for name in (f"{workspace.resolve()}/", "data/", "pictures/"):
        page.get_by_role("dialog").get_by_role("button", name=name).click()
    page.get_by_role("button", name="Use this folder").click()
    page.get_by_role("button", name="Propose").click()
    expect(page.get_by_text("3 pictures found")).to_be_visible()
    page.get_by_text("More settings").last.click()
    repeats = page.locator("#dataset-1-num_repeats")
    repeats.fill("many")
    repeats.press("Tab")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    repeats.fill("3")
    repeats.press("Tab")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("the form uses it now")).to_be_visible()
    assert read_dataset_file(path).datasets[0].num_repeats == 3
    control = page.get_by_label("Folder of control pictures")
    control.fill(str(workspace / "gone"))
    control.press("Tab")
    expect(page.get_by_text("HunyuanVideo does not train on what lies there")).to_contain_text(
        f"names no folder: {workspace / 'gone'}"
    )
    expect(control).not_to_have_attribute("aria-invalid", "true")  # a doubt, which does not keep it from being saved
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("the form uses it now")).to_be_visible()
    assert read_dataset_file(path).datasets[0].control_directory == workspace / "gone"
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#dataset_config input, #dataset_config textarea").first).to_have_value(str(path))
    expect(page.locator("#plan")).to_contain_text("Items with repeats6")
    page.get_by_role("tab", name="Dataset").click()
    repeats.fill("5")
    repeats.press("Tab")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#plan")).to_contain_text("Items with repeats10")


def test_what_is_typed_while_the_server_is_slow_is_kept_and_saved(page: Page, address, workspace):
    open_file(page, address, workspace)
    page.locator("fieldset", has=page.locator("#dataset-1-batch_size")).get_by_text("More settings").click()
    held: list[Route] = []
    page.route("**/dataset/document", lambda route: held.append(route))
    repeats, batch = page.locator("#dataset-1-num_repeats"), page.locator("#dataset-1-batch_size")
    repeats.fill("3")
    with page.expect_request("**/dataset/document"):
        repeats.press("Tab")
    batch.click()
    batch.press_sequentially("2")
    held.pop().continue_()
    expect(page.locator(".loom-dataset-source pre")).to_contain_text("num_repeats = 3")
    expect(batch).to_be_focused()
    expect(batch).to_have_value("2")
    with page.expect_request("**/dataset/document"):
        page.get_by_role("button", name="Save", exact=True).click()
    held.pop().continue_()
    expect(page.get_by_text("the form uses it now")).to_be_visible()
    saved = read_dataset_file(workspace / "data" / "dataset.toml").datasets[0]
    assert (saved.num_repeats, saved.batch_size) == (3, 2)


def test_items_are_seen_filtered_and_captioned(page: Page, address, workspace, screenshot):
    open_file(page, address, workspace)
    page.get_by_role("button", name="Table").click()
    expect(page.get_by_role("button", name=re.compile("run.mp4"))).to_contain_text("→ 64 × 64 · 2 windows")
    page.get_by_role("button", name="Gallery").click()
    page.get_by_role("button", name=re.compile("run.mp4")).click()
    expect(page.get_by_role("img", name=re.compile("As training sees it"))).to_be_visible()
    expect(page.get_by_role("list", name="Windows of frames").get_by_role("button")).to_have_count(2)
    screenshot("dataset")
    page.get_by_label("Caption", exact=True).fill("a grey thing runs")
    page.get_by_label("Caption", exact=True).press("Control+Enter")
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    caption = workspace / "data" / "clips" / "run.txt"
    assert caption.read_text(encoding="utf-8") == "a grey thing runs"
    page.get_by_role("button", name=re.compile("Undo: run.mp4")).click()
    expect(page.get_by_text("1 caption is as it was.")).to_be_visible()
    assert caption.read_text(encoding="utf-8") == "a red thing runs"
    page.get_by_label("Show only").select_option("unreadable")
    expect(page.get_by_role("list").get_by_role("button", name=re.compile("broken.mp4"))).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("bob.png"))).to_have_count(0)


def test_many_captions_are_changed_after_a_preview(page: Page, address, workspace):
    open_file(page, address, workspace)
    page.get_by_label("Trigger word").first.fill("mimi")
    page.get_by_role("button", name="Trigger word: Preview").click()
    page.get_by_role("button", name="Write 4 captions").click()
    expect(page.get_by_text("4 captions written.")).to_be_visible()
    assert (workspace / "data" / "pictures" / "bob.txt").read_text(encoding="utf-8").startswith("mimi, ")
    page.get_by_role("button", name=re.compile("Undo: Trigger word")).click()
    expect(page.get_by_text("4 captions are as they were.")).to_be_visible()


def test_caching_names_what_the_form_lacks(page: Page, address, workspace):
    open_file(page, address, workspace)
    page.get_by_role("button", name="Cache what is missing").click()
    expect(page.get_by_text("Video autoencoder (VAE) (vae) is not given")).to_be_visible()
    assert list_runs(workspace) == []


def test_the_tab_fits_a_narrow_screen_in_japanese_and_dark(open_page, address, workspace, screenshot):
    page = open_page(viewport={"width": 390, "height": 844}, locale="ja-JP", color_scheme="dark")
    page.goto(address)
    page.get_by_role("tab", name="データセット").click()
    page.get_by_label("ファイル（.toml）").fill(str(workspace / "data" / "dataset.toml"))
    page.get_by_role("button", name="開く").click()
    expect(page.get_by_text("画像 3 枚")).to_be_visible()
    screenshot("dataset_narrow_ja_dark", page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
